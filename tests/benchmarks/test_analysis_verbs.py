"""`analyse`, `scales` and `claims` on a finished run: files, what they say, and what is refused."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from harness import Finished, do, small
from PIL import Image

from benchmarks.cli.analyse import analyse
from benchmarks.cli.claims import claims
from benchmarks.cli.scales import scales
from benchmarks.core.errors import UsageError

HOUSE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run on images whose difficulty is known."""
    folder = tmp_path_factory.mktemp("known") / "drawn"
    settings = {"shapes.train": "1000", "shapes.test": "60", "shapes.shrink": "4"}
    do(small(folder, dataset="shapes", methods="earlyexit", set=settings, epochs=1))
    return folder


def test_analyse_writes_its_tables_and_prints_where_they_are(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "analysis"
    analyse([finished.folder], output=folder)
    printed = capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {"cost-needed.csv", "agreement.csv", "calibration.csv"}
    assert all(str(path) in printed for path in folder.iterdir())
    assert "difficulty of its images is not known" in " ".join(printed.split())
    needed = pd.read_csv(folder / "cost-needed.csv")
    assert (needed.groupby(["method", "variant", "seed"])["images"].sum() == 359).all()
    whole = needed.groupby(["method", "variant", "seed"])["share"].sum()
    assert whole.to_list() == pytest.approx([1.0] * len(whole))


def test_analyse_looks_at_difficulty_where_it_is_known(drawn: Path, tmp_path: Path) -> None:
    analyse([drawn], output=tmp_path)
    rows, effort = pd.read_csv(tmp_path / "difficulty.csv"), pd.read_csv(tmp_path / "effort.csv")
    for _, of in rows.groupby(["method", "point"]):
        assert of["images"].sum() == 60
        assert of.sort_values("decile")["difficulty"].is_monotonic_increasing
    assert set(effort["method"]) == {"earlyexit"}
    assert effort["rho"].dropna().between(-1, 1).all()


def test_sheets_are_pictures_of_every_model_that_has_a_choice(finished: Finished, tmp_path: Path) -> None:
    analyse([finished.folder], sheet=True, output=tmp_path)
    sheets = sorted(tmp_path.glob("sheet-*.png"))
    assert [path.name.partition("-resnet8")[0] for path in sheets] == [
        "sheet-earlyexit-default", "sheet-sdpoint-bn=uniform", "sheet-sdpoint-default",
    ]  # fmt: skip
    for path in sheets:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.width > 600
    before = sheets[0].read_bytes()
    analyse([finished.folder], sheet=True, output=tmp_path)
    assert sheets[0].read_bytes() == before


def test_several_runs_get_a_folder_each(finished: Finished, drawn: Path, tmp_path: Path) -> None:
    analyse([finished.folder, drawn], output=tmp_path / "both")
    assert {path.name for path in (tmp_path / "both").iterdir()} == {"run", "drawn"}


def test_runs_of_the_same_name_do_not_go_into_one_folder(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the same name"):
        analyse([finished.folder, finished.folder], output=tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_scales_writes_every_model_with_and_without_the_plain_networks_figure(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scales(finished.folder, sides="0.5,1", limit=40, output=tmp_path)
    rows = pd.read_csv(tmp_path / "scale-sensitivity.csv")
    assert list(rows["method"]) == ["plain", "sdpoint", "sdpoint", "earlyexit"]
    assert (rows["images"] == 40).all()
    assert ((rows["low"] <= rows["similarity"]) & (rows["similarity"] <= rows["high"])).all()
    assert rows["above_plain"].isna().to_list() == [True, False, False, False]
    plain = rows["similarity"].iloc[0]
    assert rows["above_plain"].iloc[1:].to_list() == pytest.approx((rows["similarity"].iloc[1:] - plain).to_list())
    assert set(pd.read_csv(tmp_path / "scale-accuracy.csv")["side"]) == {4, 8}
    assert "4 px" in capsys.readouterr().out


@pytest.mark.parametrize("sides", ["1", "0.5,x", "0,1", "0.5,0.5", "nan,1", "5,1", "0.99,1"])
def test_sides_that_are_no_comparison_are_refused(finished: Finished, sides: str) -> None:
    with pytest.raises(UsageError, match="--sides"):
        scales(finished.folder, sides=sides)


def test_claims_writes_the_same_findings_twice_over(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims([finished.folder], output=tmp_path)
    entries = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    rows = pd.read_csv(tmp_path / "claims.csv")
    summaries = rows[rows["seed"] == "all"]
    assert summaries["verdict"].to_list() == [entry["verdict"] for entry in entries]
    assert set(summaries["verdict"]) <= {"not separated", "not comparable"}
    (bn,) = [entry for entry in entries if entry["against"] == "sdpoint:bn=uniform"]
    assert [point["name"] for point in bn["seeds"][0]["points"]] == ["p1_r0.5", "p1_r0.75", "p2_r0.5"]
    assert len(rows[(rows["against"] == "sdpoint:bn=uniform") & rows["point"].notna()]) == 3
    assert "1 seed, fewer than 5" in " ".join(capsys.readouterr().out.split())


def test_claims_correlate_compute_with_difficulty_where_it_is_known(drawn: Path, tmp_path: Path) -> None:
    claims([drawn], output=tmp_path)
    entries = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    (effort,) = [entry for entry in entries if entry["unit"] == "rho"]
    assert effort["subject"] == "earlyexit"
    assert effort["verdict"] in ("not separated", "not comparable")


@pytest.mark.parametrize("verb", [lambda folder: analyse([folder]), scales, lambda folder: claims([folder])])
def test_what_is_no_run_is_refused(verb: Callable[[Path], None], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no finished run"):
        verb(tmp_path)


def test_the_command_line_knows_its_verbs_without_torch_and_pandas() -> None:
    code = (
        "import sys, benchmarks.cli; "
        "assert not {'torch', 'pandas', 'numpy', 'scipy', 'PIL', 'pydantic'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=HOUSE, timeout=60, check=False).returncode == 0


def test_claims_reads_what_scales_wrote_and_writes_one_page_about_all_runs(
    finished: Finished, drawn: Path, tmp_path: Path
) -> None:
    runs = [Path(shutil.copytree(folder, tmp_path / name)) for name, folder in (("a", finished.folder), ("b", drawn))]
    scales(runs[0], sides="0.5,1", limit=40)
    claims(runs, page=tmp_path / "docs" / "claims.md")
    text = (tmp_path / "docs" / "claims.md").read_text(encoding="utf-8")
    assert "| claim | digits, resnet8 (1 seed) | shapes-v1" in text
    assert "sdpoint vs plain at 4, 8 px" in text
    assert all((run / "analysis" / "claims.json").is_file() for run in runs)
    claims(runs, page=tmp_path / "docs" / "claims.md")
    assert (tmp_path / "docs" / "claims.md").read_text(encoding="utf-8") == text
