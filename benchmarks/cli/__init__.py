"""The command line: one module a verb. Nothing here imports torch before a verb needs it."""

import sys

import typer

from benchmarks.cli import (
    analyse,
    baseline,
    check_method,
    cite,
    claims,
    gate,
    leaderboard,
    listing,
    pick,
    report,
    run,
    scales,
    time,
)
from benchmarks.core.errors import disk_is_full, out_of_memory
from methods.texts import visible

app = typer.Typer(
    help="Cost-adjustable inference: train once, choose the cost afterwards, compare honestly.",
    no_args_is_help=False,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _help_if_nothing_is_asked(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


app.command("run", help=run.HELP)(run.run)
app.command("check-method", help=check_method.HELP)(check_method.check_method)
app.command("list", help=listing.HELP)(listing.list_known)
app.command("report", help=report.HELP)(report.report)
app.command("cite", help=cite.HELP)(cite.cite)
app.command("analyse", help=analyse.HELP)(analyse.analyse)
app.command("scales", help=scales.HELP)(scales.scales)
app.command("claims", help=claims.HELP)(claims.claims)
app.command("pick", help=pick.HELP)(pick.pick)
app.command("time", help=time.HELP)(time.time)
app.command("gate", help=gate.HELP)(gate.gate)
app.command("baseline", help=baseline.HELP)(baseline.baseline)
app.add_typer(leaderboard.app, name="leaderboard", help=leaderboard.HELP)

DONE, USAGE, MACHINE, INTERRUPTED = 0, 2, 3, 130
OF_THE_USER = ("UsageError", "DataError", "MethodError", "RecordError")
STOPPED = "stopped; the same command goes on where this one was"


def main() -> None:
    """Run the command line and exit: 0 done, 1 something failed, 2 wrong usage or input, 3 the machine."""
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # what typer makes of Control-C, in silence
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else DONE)
    except KeyboardInterrupt:
        fail(INTERRUPTED, STOPPED)
    except Exception as error:  # the one place that turns errors into exit statuses
        code, message = explained(error)
        if code is None:
            raise
        fail(code, message)


def fail(code: int, message: str) -> None:
    """One line on standard error, and the exit status. What others wrote may stand in it."""
    print(f"error: {visible(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(code)


def explained(error: Exception) -> tuple[int | None, str]:
    """Exit status and message of an error that is not a defect of the suite; (None, "") for one that is."""
    if isinstance(error, ValueError) and type(error).__name__ in OF_THE_USER:
        return USAGE, str(error)
    if isinstance(error, RuntimeError) and type(error).__name__ == "WorkerError":
        return MACHINE, str(error)
    if hasattr(error, "format_message"):  # wrong usage, found by the parser of the command line
        return USAGE, error.format_message()
    if type(error).__name__ == "Abort":
        return INTERRUPTED, STOPPED
    if disk_is_full(error):
        return MACHINE, "the disk is full; finished records stay, the same command goes on from them"
    if out_of_memory(error):
        return (
            MACHINE,
            f"out of memory ({error}); finished records stay: use smaller images or a smaller backbone",
        )
    if isinstance(error, OSError):
        return MACHINE, ": ".join(str(part) for part in (error.strerror or error, error.filename) if part)
    return None, ""
