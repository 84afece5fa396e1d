"""`report`: finished runs as a page or a site, in the terminal, as tables for a paper, and as a figure."""

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.cli import cite
from benchmarks.cli.run import Wait, tell
from benchmarks.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from reports.data.records import Run

HELP = "Finished runs as one offline page, a site, a text, a LaTeX table, a CSV file, BibTeX or a figure."
PAGE = "report.html"
WIDTH = 120
"""Of a text that goes to a file, in columns."""

Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs.")]
Output = Annotated[Path | None, typer.Option(help=f"File to write; {PAGE} of the run, or here for several.")]
Site = Annotated[Path | None, typer.Option(help="Folder for a static site.")]
AsText = Annotated[bool, typer.Option("--text", help="Print the tables here instead.")]
AsLatex = Annotated[bool, typer.Option("--latex", help="Print booktabs tables: accuracy at equal cost.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print the points of all runs as one table.")]
AsBibtex = Annotated[bool, typer.Option("--bibtex", help="Print the entries of the suite and the methods in the runs.")]
Figure = Annotated[Path | None, typer.Option(help="Draw the frontiers for a paper: FILE.svg, .pdf or .png.")]
Columns = Annotated[int, typer.Option(min=1, max=2, help="Width of the figure, in columns of text.")]


def report(
    runs: Runs, output: Output = None, site: Site = None, text: AsText = False, latex: AsLatex = False,
    csv: AsCsv = False, bibtex: AsBibtex = False, figure: Figure = None, columns: Columns = 1, wait: Wait = False,
) -> None:  # fmt: skip
    """Without any of the options the page is written; --output also takes what would be printed."""
    asked = [name for name, given in {"text": text, "latex": latex, "csv": csv, "bibtex": bibtex}.items() if given]
    if len(asked) > 1:
        raise UsageError(f"--{' and --'.join(asked)}: one at a time")
    found = _read(runs)
    if figure:
        _figure(found, figure, columns)
    if site:
        _site(found, site)
    if asked:
        _printed(found, asked[0], output)
    elif output or not (figure or site):
        _page(found, output, wait)


def _read(folders: list[Path]) -> "list[Run]":
    from reports.data.records import RecordError, read

    try:
        return [read(folder) for folder in dict.fromkeys(folders)]
    except RecordError as error:
        raise UsageError(str(error)) from None


def _page(runs: "list[Run]", output: Path | None, wait: bool) -> None:
    """One run's own files are renewed; several, or one elsewhere, are one page."""
    from benchmarks.core.lock import held_run
    from reports.html import render

    if output is None and len(runs) == 1:
        with held_run(runs[0].folder, wait, tell):
            render.write(runs[0].folder)
        print(runs[0].folder / PAGE)
        return
    _written(output or Path(PAGE), render.page(runs))


def _site(runs: "list[Run]", folder: Path) -> None:
    from reports.html import site

    site.write(runs, folder)
    print(folder / "index.html")


def _figure(runs: "list[Run]", path: Path, columns: int) -> None:
    from reports.data import comparison
    from reports.figures import paper_figure
    from reports.html import render

    if path.suffix.lower() not in paper_figure.FORMATS:
        raise UsageError(f"--figure {path}: name a file that ends in {', '.join(paper_figure.FORMATS)}")
    content = paper_figure.render(list(comparison.places(runs)), columns, path.suffix.lower())
    path.parent.mkdir(parents=True, exist_ok=True)
    print(render.replace(path, content))


def _printed(runs: "list[Run]", what: str, output: Path | None) -> None:
    """To standard output, or into a file."""
    from rich.console import Console

    if what == "text" and output is None:
        _show(runs, Console())
        return
    text = {"text": _text, "latex": _latex, "csv": _csv, "bibtex": _bibtex}[what](runs)
    if output is None:
        print(text, end="")
    else:
        _written(output, text)


def _written(path: Path, text: str) -> None:
    from benchmarks.core.written import write_text

    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    print(path)


def _show(runs: "list[Run]", console: "Console") -> None:
    from reports.console import overview

    if len(runs) == 1:
        overview.show(runs[0].folder, console)
    else:
        overview.compare(runs, console)


def _text(runs: "list[Run]") -> str:
    from rich.console import Console

    page = StringIO()
    _show(runs, Console(file=page, width=WIDTH))
    return page.getvalue()


def _latex(runs: "list[Run]") -> str:
    from reports.data import comparison
    from reports.paper import latex

    return "\n".join(latex.table(place) for place in comparison.places(runs))


def _csv(runs: "list[Run]") -> str:
    import pandas as pd

    from reports.data.comparison import names

    tables = [run.points.assign(run=name) for name, run in zip(names(runs), runs, strict=True)]
    merged = pd.concat(tables, ignore_index=True)
    return merged[["run", *merged.columns.drop("run")]].to_csv(index=False)


def _bibtex(runs: "list[Run]") -> str:
    used = [
        pair for run in runs for pair in run.points[["method", "backbone"]].drop_duplicates().itertuples(index=False)
    ]
    texts = [cite.suite(), *(text for method, backbone in used for text in cite.papers(method, backbone))]
    return "\n\n".join(dict.fromkeys(texts)) + "\n"
