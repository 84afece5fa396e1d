"""The files a run ends with: offline, escaped, written whole."""

import json
import re
import shlex
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_up import many_runs
from unpacked import page_data, rows

from reports.data import tables, time_saved
from reports.data.provenance import command
from reports.data.records import RecordError, Run, read
from reports.html.render import page, vega_script, write

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


class Loads(HTMLParser):
    """Collects every address that the page would load and every tag it uses."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = {"src", "href", "srcset", "data", "action", "poster"}
        self.addresses += [value or "" for name, value in attrs if name in names]


def parsed(html: str) -> Loads:
    parser = Loads()
    parser.feed(html)
    return parser


@pytest.fixture(scope="module")
def written(one_seed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(one_seed, tmp_path_factory.mktemp("page") / "run"))
    write(folder)
    return folder


def test_three_files_are_written_and_nothing_is_left_aside(written: Path) -> None:
    assert (written / "pareto.svg").read_text().startswith("<svg")
    assert (written / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert (written / "report.html").read_text().startswith("<!doctype html>")
    assert not list(written.glob("*.partial"))


def test_the_page_loads_nothing_from_anywhere(written: Path) -> None:
    html = (written / "report.html").read_text()
    assert [address for address in parsed(html).addresses if not address.startswith("#")] == []
    assert "default-src 'none'" in html
    styles = "".join(re.findall(r"<style>(.*?)</style>", html, re.S))
    assert "@import" not in styles
    assert "url(" not in styles
    assert not re.search(r"\b(import\s*\(|from\s*)[\"']https?://", html)


def test_vega_is_embedded_once(written: Path) -> None:
    html = (written / "report.html").read_text()
    assert parsed(html).tags.count("script") == 3
    assert len(vega_script()) < len(html) < len(vega_script()) + 200_000


def test_every_operating_point_is_a_row(written: Path) -> None:
    found = [row["point"] for row in rows(page_data((written / "report.html").read_text())["points"])]
    assert found == read(written).points.query("kind == 'point'")["point"].tolist()


def test_everything_user_made_is_escaped(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    folder = make_run(tmp_path / "run")
    record = json.loads((folder / "run.json").read_text())
    record["name"] = record["configuration"]["dataset"] = record["data"]["name"] = EVIL
    record["warnings"] = record["uncounted_operators"] = [EVIL]
    record["failures"] = [{"name": EVIL, "message": EVIL}]
    record["jobs"][0]["name"] = EVIL
    (folder / "run.json").write_text(json.dumps(record))
    for name in ("points.csv", "latency.csv"):
        text = (folder / name).read_text().replace("p1_r0.5", EVIL).replace("sdpoint", "sdpoint" + EVIL)
        (folder / name).write_text(text)
    html = page([read(folder)], EVIL, [EVIL, "tier"])
    found = parsed(html)
    assert found.tags.count("script") == 3
    assert "img" not in found.tags
    assert "&lt;img src=x" in html
    assert page_data(html)["lines"]["columns"]["name"]["w"][1] == "sdpoint" + EVIL


def test_three_seeds_without_latency_make_a_page(three_seeds: Path) -> None:
    html = page([read(three_seeds)])
    assert "Nothing was timed in this run." in html
    assert "3 seeds" in html
    assert 'id="chart-speedup"' not in html


def test_a_run_of_the_plain_backbone_alone_and_one_without_it_make_a_page(one_seed: Path) -> None:
    run = read(one_seed)
    is_plain = run.points["method"] == "plain"
    for points in (run.points[is_plain], run.points[~is_plain]):
        latency = run.latency.assign(ratio_to_plain=float("nan"))
        alone = Run(run.folder, run.record, points.reset_index(drop=True), latency)
        assert "Operating points" in page([alone])


def test_several_runs_are_one_page(one_seed: Path, three_seeds: Path) -> None:
    first, others = read(one_seed), read(three_seeds)
    html = page([first, replace(others, points=others.points.query("seed > 0"))])
    assert "2 runs · 3 seeds" in html
    assert [row["seeds"] for row in rows(page_data(html)["lines"])] == [3, 3, 3]


def test_a_page_without_runs_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a run"):
        page([])


def test_a_title_and_facts_can_be_given(one_seed: Path) -> None:
    run = read(one_seed)
    html = page([replace(run, points=run.points.assign(tier="verified"))], "Leaderboard", ["tier"])
    assert "<h1>Leaderboard</h1>" in html
    assert {row["tier"] for row in rows(page_data(html)["lines"])} == {"verified"}


@pytest.mark.perf
def test_a_thousand_runs_make_a_page_in_ten_seconds_and_five_megabytes() -> None:
    runs = many_runs(1_000)
    vega_script()
    began = time.process_time()
    html = page(runs)
    assert time.process_time() - began < 10
    assert len(html.encode()) < 5e6
    assert page_data(html)["runs"]["rows"] == 1_000


def test_how_much_of_the_saved_work_becomes_saved_time_is_said_in_a_sentence(one_seed: Path) -> None:
    run = read(one_seed)
    html = page([run])
    section = re.search(r'aria-labelledby="h-speedup">(.*?)</section>', html, re.S)
    assert section
    text = " ".join(re.sub(r"<[^>]*>", " ", section[1]).split())
    says = time_saved.summary(time_saved.realised(tables.timed(run)))
    assert says
    assert f"Of {says['points']} points that save 20% or more of the MACs, {says['enough']} realise at least" in text
    assert f"the median is {says['median']:.2f}" in text
    assert "batch 1, 1 thread, cpu, eager float32, quick-1" in text


def test_where_all_timings_are_flagged_the_page_says_so(one_seed: Path) -> None:
    run = read(one_seed)
    html = page([Run(run.folder, run.record, run.points, run.latency.assign(flags="loaded"))])
    assert "All of these timings are flagged or composed: not to be relied on." in html


def test_points_can_be_loaded_only_where_the_run_has_its_weights(written: Path) -> None:
    def folders(run: Run) -> list[str | None]:
        return [row["folder"] for row in rows(page_data(page([run]))["runs"])]

    assert folders(read(written)) == [None]
    (written / "models").mkdir()
    assert folders(read(written)) == [str(written)]


def test_failures_and_warnings_are_shown(one_seed: Path) -> None:
    run = read(one_seed)
    run.record["failures"] = [{"name": "drnet", "message": "the loss is not finite"}]
    html = page([run])
    assert "drnet failed:" in html
    assert "costs 102.0% of the plain network" in html


def test_command_repeats_the_run(one_seed: Path) -> None:
    run = read(one_seed)
    run.record["configuration"] |= {"data_root": "my pictures", "set": {"sdpoint.ratios": [0.5, 0.75]}}
    run.record["configuration"] |= {"routing": "learned", "plugin": ["mine.py", "yours.py"]}
    words = shlex.split(command(run))
    assert words[:6] == ["python", "-m", "benchmarks", "run", "--methods", "plain,sdpoint,earlyexit"]
    assert words[words.index("--data-root") + 1] == "my pictures"
    assert words[words.index("--set") + 1] == "sdpoint.ratios=0.5,0.75"
    assert words[words.index("--routing") + 1] == "learned"
    assert [words[place + 1] for place, word in enumerate(words) if word == "--plugin"] == ["mine.py", "yours.py"]


def test_writing_a_report_of_something_else_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []
