"""The verbs `report` and `cite` as a user types them."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import cli
from benchmarks.cli import cite
from benchmarks.leaderboard import entry as entries
from benchmarks.leaderboard.entry import Data, Entry, Environment

MakeRun = Callable[..., Path]
Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Type:
    """Runs `python -m benchmarks ...` in an empty folder: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(str(ended.value.code)), said.out, said.err

    return run


def an_entry() -> Entry:
    """What `cite` reads of an entry, and nothing else."""
    return Entry.model_construct(
        method="sdpoint", variant="bn=uniform", method_version=2, backbone="wrn-16-4", protocol=1, date="2026-11-02",
        tier="self-reported", dataset=Data.model_construct(name="digits", test_fingerprint="2" * 64),
        environment=Environment.model_construct(suite_version="0.0.9"),
    )  # fmt: skip


def test_the_page_of_one_run_is_renewed_in_its_folder(typed: Type, make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    assert typed("report", folder) == (0, f"{folder}/report.html\n", "")
    assert "sdpoint" in (folder / "report.html").read_text(encoding="utf-8")


def test_several_runs_are_one_page_here_or_where_it_is_asked_for(
    typed: Type, one_seed: Path, three_seeds: Path, tmp_path: Path
) -> None:
    assert typed("report", one_seed, three_seeds)[:2] == (0, "report.html\n")
    assert (tmp_path / "report.html").is_file()
    assert typed("report", one_seed, "--output", "pages/both.html")[:2] == (0, "pages/both.html\n")
    assert (tmp_path / "pages" / "both.html").is_file()


def test_a_site_is_a_folder_of_pages(typed: Type, one_seed: Path, three_seeds: Path, tmp_path: Path) -> None:
    assert typed("report", one_seed, three_seeds, "--site", "public")[:2] == (0, "public/index.html\n")
    assert (tmp_path / "public" / "index.html").is_file()
    assert not (tmp_path / "report.html").exists()


def test_csv_has_every_row_of_every_run_and_says_whose_it_is(
    typed: Type, one_seed: Path, make_run: MakeRun, tmp_path: Path
) -> None:
    other = make_run(tmp_path / "other", seeds=2)
    code, out, _ = typed("report", one_seed, other, "--csv")
    table = pd.read_csv(io.StringIO(out))
    assert code == 0
    assert table.columns[0] == "run"
    assert table["run"].value_counts().to_dict() == {
        str(folder): len(pd.read_csv(folder / "points.csv")) for folder in (one_seed, other)
    }


def test_latex_and_text_go_to_a_file_where_one_is_named(typed: Type, three_seeds: Path, tmp_path: Path) -> None:
    assert typed("report", three_seeds, "--latex", "--output", "table.tex")[:2] == (0, "table.tex\n")
    assert r"\toprule" in (tmp_path / "table.tex").read_text(encoding="utf-8")
    assert typed("report", three_seeds, "--text", "--output", "run.txt")[:2] == (0, "run.txt\n")
    assert "Test accuracy %" in (tmp_path / "run.txt").read_text(encoding="utf-8")


def test_text_of_one_run_is_its_report_and_of_several_a_comparison(
    typed: Type, one_seed: Path, three_seeds: Path
) -> None:
    assert "p1_r0.5" in typed("report", one_seed, "--text")[1]
    assert "have fewer than 5 seeds" in typed("report", one_seed, three_seeds, "--text")[1]


def test_bibtex_has_the_suite_and_every_paper_of_the_runs_once(typed: Type, one_seed: Path, three_seeds: Path) -> None:
    out = typed("report", one_seed, three_seeds, "--bibtex")[1]
    keys = [line.partition("{")[2].rstrip(",") for line in out.splitlines() if line.startswith("@")]
    assert keys == [
        "cost-adjustable-inference-benchmark-0.1.0", "he2016deep", "kuen2018stochastic",
        "teerapittayanon2016branchynet",
    ]  # fmt: skip


def test_a_method_of_a_users_is_named_in_bibtex_and_cannot_add_entries(
    typed: Type, make_run: MakeRun, tmp_path: Path
) -> None:
    folder = make_run(tmp_path / "run")
    points = pd.read_csv(folder / "points.csv").replace({"method": {"earlyexit": "mine\n@misc{evil,}"}})
    points.to_csv(folder / "points.csv", index=False)
    out = typed("report", folder, "--bibtex")[1]
    assert "% mine @misc{evil,}: not a method of this suite, cite its authors\n" in out
    assert not any(line.startswith("@misc") for line in out.splitlines())


@pytest.mark.parametrize(("suffix", "begin"), [(".svg", b"<svg"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")])
def test_a_figure_has_the_format_of_its_name_and_no_page_comes_with_it(
    typed: Type, three_seeds: Path, tmp_path: Path, suffix: str, begin: bytes
) -> None:
    assert typed("report", three_seeds, "--figure", f"frontier{suffix}")[:2] == (0, f"frontier{suffix}\n")
    assert (tmp_path / f"frontier{suffix}").read_bytes().startswith(begin)
    assert [path.name for path in tmp_path.iterdir()] == [f"frontier{suffix}"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--text", "--csv"], "--text and --csv: one at a time"),
        (["--figure", "x.eps"], "--figure x.eps: name a file that ends in .svg, .pdf, .png"),
        (["--columns", "3"], "--columns"),
    ],
)
def test_wrong_usage_is_one_line(typed: Type, one_seed: Path, words: list[str], says: str) -> None:
    code, _, err = typed("report", one_seed, *words)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1


def test_a_folder_that_is_no_run_is_one_line(typed: Type, tmp_path: Path) -> None:
    code, _, err = typed("report", tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert "is no run folder" in err


def test_cite_alone_is_the_suite(typed: Type) -> None:
    code, out, _ = typed("cite")
    assert code == 0
    assert out.startswith("@software{cost-adjustable-inference-benchmark-")


def test_cite_prints_the_papers_of_methods_and_each_once(typed: Type) -> None:
    out = typed("cite", "sdpoint", "multiscale:bn=private")[1]
    assert [line for line in out.splitlines() if line.startswith("@")] == [
        "@inproceedings{kuen2018stochastic,", "@inproceedings{wang2020resolution,",
    ]  # fmt: skip


def test_a_method_without_a_paper_of_its_own_says_what_to_cite(typed: Type) -> None:
    assert typed("cite", "plain")[1] == "% plain: the backbone's own paper\n"


def test_what_is_neither_method_nor_entry_is_answered_with_the_nearest(typed: Type) -> None:
    code, _, err = typed("cite", "sdpiont")
    assert code == 2
    assert err.startswith("error: 'sdpiont' is no method and no entry of the leaderboard; did you mean 'sdpoint'")
    code, _, err = typed("cite", "@@@")
    assert code == 2
    assert "known are plain, " in err
    assert "and the names of entries, such as cifar10-jpeg-" in err
    assert len(err) < 300


@pytest.mark.parametrize("named", ["file", "name", "stem"])
def test_an_entry_is_cited_with_the_papers_of_its_method_and_backbone(
    typed: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    path = tmp_path / "entries" / "digits-wrn-16-4-sdpoint-p1-0a1b2c3d.json"
    path.parent.mkdir()
    path.touch()
    monkeypatch.setattr(entries, "read", {path: an_entry()}.get)
    monkeypatch.setattr(cite, "ENTRIES", path.parent)
    code, out, _ = typed("cite", {"file": path, "name": path.name, "stem": path.stem}[named])
    assert code == 0
    assert [line.partition("{")[0] for line in out.splitlines() if line.startswith("@")] == [
        "@misc", "@inproceedings", "@inproceedings",
    ]  # fmt: skip
    assert "sdpoint:bn=uniform on digits, wrn-16-4" in out
    assert "suite version 0.0.9" in out
    assert "date = {2026-11-02}" in out
    assert out.index("kuen2018stochastic") < out.index("zagoruyko2016wide")


def test_a_file_that_is_no_entry_is_one_line(typed: Type, tmp_path: Path) -> None:
    (tmp_path / "entry.json").write_text("{}", encoding="utf-8")
    code, _, err = typed("cite", "entry.json")
    assert (code, err.count("\n")) == (2, 1)
    assert "is no entry" in err


def test_citing_and_bibtex_need_no_torch() -> None:
    code = (
        "import sys\nfrom benchmarks.cli import cite, report\n"
        "cite.cite(['sdpoint'])\ncite.cite()\nassert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=cite.ROOT, timeout=60, check=False)
    assert done.returncode == 0
