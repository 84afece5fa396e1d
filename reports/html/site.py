"""A static site: one page over all runs and one a run, which share Vega's script. It works from a folder, offline."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reports.data.records import Run
from reports.html import render

VEGA = Path("assets") / "vega.js"
PAGES = "runs"


def write(runs: Sequence[Run], folder: Path, title: str | None = None, facts: Sequence[str] = ()) -> list[Path]:
    """Writes `index.html` over all `runs`, `runs/NAME.html` of each and the script they share; returns their paths.

    `title` and `facts` as for `render.page`. Files of pages that are written anew are replaced whole; others in
    `folder` are left alone. Raises ValueError without runs.
    """
    runs = [replace(run, record=run.record | {"name": name}) for run, name in zip(runs, _names(runs), strict=True)]
    files = {run.name: f"{PAGES}/{_safe(run.name)}.html" for run in runs}
    index = render.page(runs, title, facts, files, VEGA.as_posix())
    for part in (VEGA.parent, Path(PAGES)):
        (folder / part).mkdir(parents=True, exist_ok=True)
    above = f"../{VEGA.as_posix()}"
    pages = {files[run.name]: render.page([run], None, facts, {}, above, "../index.html") for run in runs}
    pages["index.html"] = index
    return [
        render.replace(folder / VEGA, render.vega_script().encode()),
        *(render.replace(folder / file, text.encode()) for file, text in pages.items()),
    ]


def _names(runs: Sequence[Run]) -> list[str]:
    """The runs' names, numbered where the files of two would be called alike."""
    taken: Counter[str] = Counter()
    names = []
    for run in runs:
        taken[_safe(run.name)] += 1
        count = taken[_safe(run.name)]
        names.append(run.name if count == 1 else f"{run.name}-{count}")
    return names


def _safe(name: str) -> str:
    """A file name of a run's."""
    return re.sub(r"[^\w.=-]+", "-", name).strip(".-").lower()[:80] or "run"
