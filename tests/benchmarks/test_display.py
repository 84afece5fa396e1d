"""What a user sees while a run works: in 80 columns, with the place of a job and the time left for all of them."""

import io
import re
from itertools import count

import pytest
from rich.cells import cell_len
from rich.console import Console

from benchmarks.cli.display import HEARTBEAT_S, Display, TimeLeft
from benchmarks.core.progress import Job, Progress

LONG = "netselect:networks=nets/mine.py:first/nets/mine.py:second/resnet14 (seed 3): executed against simulated"


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(terminal: bool, *jobs: str, steps: int = 4, seconds: float = 1.0) -> list[str]:
    clock = Clock()
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80, color_system=None, legacy_windows=False)
    with Display(console, clock) as display:
        for job in jobs:
            with display.show(job) as update:
                for step in range(1, steps + 1):
                    clock.now += seconds
                    update(Progress(step, steps))
                display.bars.refresh()
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("text", ["sdpoint: training", LONG, "[bold]x[/bold] [/]", "数" * 60])
def test_every_line_on_a_terminal_fits_80_columns(text: str) -> None:
    for line in shown(True, Job(text, 7, 15), text):
        for part in line.split("\r"):
            assert cell_len(re.sub(r"\x1b\[[0-9?]*[A-Za-z]", "", part)) <= 80, part


def test_a_job_says_which_of_how_many_it_is_and_how_long_it_took() -> None:
    assert shown(False, Job("sdpoint: training", 3, 15)) == ["[3/15] sdpoint: training" + " " * 51 + "4.0 s"]
    assert shown(False, "report")[0].startswith("report ")


def test_elsewhere_than_on_a_terminal_nothing_is_cut_off_and_a_long_job_gives_signs_of_life() -> None:
    lines = shown(False, Job(LONG, 1, 2), steps=8, seconds=HEARTBEAT_S / 2)
    assert lines[:3] == [
        f"[1/2] {LONG}: 25%, all 4 min left", f"[1/2] {LONG}: 50%, all 3 min left",
        f"[1/2] {LONG}: 75%, all 2 min left",
    ]  # fmt: skip
    assert lines[-1].startswith(f"[1/2] {LONG}")
    assert lines[-1].endswith("120.0 s")


def test_the_time_left_is_that_of_all_jobs_and_what_was_found_done_counts_for_nothing() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    for place in count(61):  # sixty parts had been done before
        if place == 63:
            break
        job = Job("training", place, 64)
        left.begin(job)
        clock.now += 50
        assert left.said(job, 0.5) == {61: "all 6 min left", 62: "all 4 min left"}[place]
        clock.now += 50
        left.said(job, 1.0)
        assert left.said(job, 0.1) == left.said(job, 1.0)  # statistics and tables behind a training
