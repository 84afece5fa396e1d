"""LaTeX: what it says, that it is well formed, and that nothing a user wrote is executed."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.data.comparison import Figure, Line, Place
from reports.paper.latex import escape, table

MACROS = re.compile(r"\\(textbackslash|textbraceleft|textbraceright|textasciitilde|textasciicircum|textless|textgreater"
                    r"|textbar)\{\}|\\[$&#%_]|\$(\\(times|leq|pm|approx)|-)\$")  # fmt: skip

BOARD = Path(__file__).parents[2] / "reports" / "leaderboard" / "leaderboard.tex"
FOUND = ["kpsewhich", "booktabs.sty"]
TEX = shutil.which("pdflatex") and subprocess.run(FOUND, capture_output=True, check=False).returncode == 0


def line(series: str, mean: float = 0.7, spread: float = 0.01, seeds: int = 3) -> Line:
    figure = Figure(mean, spread)
    return Line(series, seeds, (None, figure, figure, figure), figure, 2e12, 2.0)


def place(*lines: Line, dataset: str = "shapes") -> Place:
    return Place(dataset, "smoke, 2 epochs", "resnet8", pd.DataFrame(), lines)


def rows(text: str) -> list[str]:
    body = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    return body.splitlines()


def test_a_line_holds_accuracy_at_every_share_summary_and_training() -> None:
    figure = r"$70.0_{\pm 1.0}$"
    expected = rf"sdpoint & -- & {figure} & {figure} & {figure} & {figure} & 2.00$\times$ \\"
    assert rows(table(place(line("sdpoint")))) == [expected]


def test_one_seed_has_no_spread_and_the_caption_does_not_speak_of_one() -> None:
    text = table(place(line("sdpoint", spread=np.nan, seeds=1)))
    assert r"\pm" not in text
    assert "over seeds" not in text


def test_the_caption_states_the_training_cost_of_the_plain_network() -> None:
    plain = Line("plain", 3, (None, None, None, Figure(0.9, 0.01)), Figure(0.1, 0.0), 2.87e13, 1.0)
    assert r"($2.9\cdot 10^{13}$)" in table(place(plain, line("sdpoint")))


def test_without_a_plain_network_training_is_not_related_to_it() -> None:
    alone = Line("sdpoint", 1, (None,) * 4, None, 2e12, float("nan"))
    assert rows(table(place(alone))) == [r"sdpoint & -- & -- & -- & -- & -- & -- \\"]


@pytest.mark.parametrize(("seeds", "said"), [((5, 5), "over 5 seeds"), ((1, 5), "over 1 to 5 seeds")])
def test_the_caption_says_how_many_seeds(seeds: tuple[int, ...], said: str) -> None:
    assert said in table(place(*(line(f"m{count}", seeds=count) for count in seeds)))


@pytest.mark.skipif(not TEX, reason="no pdflatex with booktabs here")
def test_it_compiles_and_fits_the_column_of_an_article(tmp_path: Path) -> None:
    hostile = 'a_b & 50% <x> #1 {} ~ ^ | " × ≤ ± ≈ − – — łé 漢 \x00 \\input{x}'
    texts = [
        table(place(line("plain"), line("multiscale:routing=learned"), line("a_b & 50%"), dataset=hostile)),
        BOARD.read_text(encoding="utf-8"),
    ]
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs}\begin{document}"
    (tmp_path / "a.tex").write_text("\n\n".join([head, *texts, r"\end{document}"]), encoding="utf-8")
    ran = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "a.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=100, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert "Overfull" not in ran.stdout


def test_every_row_has_as_many_cells_as_the_table_has_columns() -> None:
    text = table(place(line("a&b"), line("plain")))
    columns = re.search(r"\\begin\{tabular\}\{(l?r*)\}", text)
    assert columns
    heads = text.partition("\\midrule")[0].splitlines()[-1]
    for row in [heads, *rows(text)]:
        assert len(re.split(r"(?<!\\)&", row)) == len(columns[1])


def test_environments_are_closed() -> None:
    text = table(place(line("sdpoint")))
    assert re.findall(r"\\begin\{(\w+)\}", text) == re.findall(r"\\end\{(\w+)\}", text)[::-1]
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bn=uniform:ratios=0.5/0.75", "bn=uniform:ratios=0.5/0.75"),
        ("a_b & 50%", r"a\_b \& 50\%"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\textbraceleft{}/etc/passwd\textbraceright{}"),
        ("entropy<0.5", r"entropy\textless{}0.5"),
        ("two\nlines\t", "two lines"),
        ("Dollár ×", r"Dollár $\times$"),
        ("日本\x00", "???"),
    ],
)
def test_what_means_something_to_latex_is_written_out(text: str, expected: str) -> None:
    assert escape(text) == expected


@given(st.text())
def test_no_text_leaves_a_command_a_comment_or_an_open_group(text: str) -> None:
    written = escape(text)
    assert not set("\\{}$&#%_~^\n") & set(MACROS.sub("", written))
    assert written.count("{") == written.count("}")


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_table_of_any_names_keeps_its_shape(series: str, dataset: str) -> None:
    ordinary = table(place(line("m"))).splitlines()
    assert len(table(place(line(series), dataset=dataset)).splitlines()) == len(ordinary)
