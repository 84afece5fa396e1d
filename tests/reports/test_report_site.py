"""A static site: an index, a page a run, one script."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from unpacked import page_data, rows

from reports.data.records import Run, read
from reports.html import site


@pytest.fixture(scope="module")
def runs(one_seed: Path, three_seeds: Path) -> list[Run]:
    first = read(one_seed)
    return [first, read(three_seeds), replace(first, record=first.record | {"name": "../up & <away>"})]


def test_a_site_is_an_index_a_page_a_run_and_one_script(runs: list[Run], tmp_path: Path) -> None:
    written = site.write(runs, tmp_path / "site")
    files = sorted(path.relative_to(tmp_path / "site").as_posix() for path in written)
    twice = "sdpoint-earlyexit-shapes"
    assert files == ["assets/vega.js", "index.html", f"runs/{twice}-2.html", f"runs/{twice}.html", "runs/up-away.html"]
    assert sorted(p for p in (tmp_path / "site").rglob("*") if p.is_file()) == sorted(written)
    index = (tmp_path / "site" / "index.html").read_text()
    assert '<script src="assets/vega.js">' in index
    assert len(index) < 300_000
    links = [row["link"] for row in rows(page_data(index)["runs"])]
    assert links == [f"runs/{twice}.html", f"runs/{twice}-2.html", "runs/up-away.html"]


def test_pages_of_a_site_load_their_script_and_lead_back_to_the_index(runs: list[Run], tmp_path: Path) -> None:
    for path in site.write(runs[:1], tmp_path):
        if path.suffix == ".html":
            addresses = re.findall(r'<[^>]* (?:src|href)="([^"#][^"]*)"', path.read_text())
            back = [] if path.name == "index.html" else [tmp_path / "index.html"]
            assert [(path.parent / one).resolve() for one in addresses] == [*back, tmp_path / "assets" / "vega.js"]


def test_a_site_of_no_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a run"):
        site.write([], tmp_path)
    assert list(tmp_path.iterdir()) == []
