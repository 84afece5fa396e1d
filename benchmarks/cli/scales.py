"""`scales`: how alike a network's predictions are when the same test images come at several sizes."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.cli.run import NO_FILES, Needed, TrustRun, Wait
from benchmarks.core.errors import UsageError

if TYPE_CHECKING:
    from benchmarks.core.trust import Trust
    from benchmarks.scales import Scaled
    from benchmarks.stored import StoredRun, Trained

HELP = "Scale sensitivity: the similarity of a run's full models to themselves on resized test images."

Run = Annotated[Path, typer.Argument(help="Folder of a finished run.")]
Sides = Annotated[str, typer.Option(help="Comma-separated shares of an image's side; 1 is the image untouched.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Test images at most, evenly spread; all by default.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data, if the run had one.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads on the CPU.")]
Output = Annotated[Path | None, typer.Option(help="Folder for the files; RUN/analysis by default.")]


def scales(
    run: Run,
    sides: Sides = "0.5,0.625,0.75,0.875,1",
    limit: Limit = None,
    data_root: DataRoot = None,
    threads: Threads = 1,
    output: Output = None,
    plugin: Needed = NO_FILES,
    trust: TrustRun = False,
    wait: Wait = False,
) -> None:
    """Pass the test images through every full model at every size, write two tables and print one."""
    shares = _shares(sides)
    import pandas as pd
    import torch
    from rich.console import Console

    from benchmarks import stored
    from benchmarks.cli.run import tell
    from benchmarks.core.lock import held_run
    from benchmarks.core.trust import Trust
    from benchmarks.models import add_methods
    from benchmarks.scales import rows_of, write
    from reports.console import analyses

    torch.set_num_threads(threads)
    with nullcontext() if output else held_run(run, wait, tell):
        found = stored.read(run)
        add_methods(plugin, [found])
        measured = _measured(found, shares, limit, data_root, Trust.of(plugin, trust))
        similarity, accuracy = (pd.DataFrame(rows) for rows in rows_of(measured))
        folder = output or found.folder / "analysis"
        folder.mkdir(parents=True, exist_ok=True)
        Console().print(analyses.scales(similarity, accuracy), "")
        print(*write(folder, similarity.to_csv(index=False), accuracy.to_csv(index=False)), sep="\n")


def _shares(text: str) -> list[float]:
    try:
        shares = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        shares = []
    if len(set(shares)) < 2 or not all(0 < share <= 4 for share in shares):
        raise UsageError(
            f"--sides takes at least two shares of a side between 0 and 4, such as 0.5,0.75,1; not '{text}'"
        )
    return shares


def _measured(
    run: "StoredRun", shares: list[float], limit: int | None, root: Path | None, trust: "Trust"
) -> "list[tuple[Trained, Scaled]]":
    """Every model of the run on the same test images."""
    import numpy as np
    import torch

    from benchmarks.cli.display import Display
    from benchmarks.core.progress import drive
    from benchmarks.data.batches import Images
    from benchmarks.models import built, checked
    from benchmarks.scales import scaled
    from benchmarks.scales import sides as pixels

    for model in run.models:  # before the images are read
        checked(run, model, trust)
    data = run.data(root)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = Images.of(data.test, data.mean, data.std, device)
    if len(pixels(min(images.size), shares)) < 2:
        raise UsageError("--sides come to one size of these images: choose shares further apart")
    count = len(data.test)
    samples = np.unique(np.linspace(0, count - 1, min(limit or count, count)).round().astype(np.int64))
    found = []
    with Display() as display:
        for model in run.models:
            with display.show(f"{model.label} (seed {model.seed}) at several sizes") as progress:
                network: Any = built(run, model, trust).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
                found.append((model, drive(scaled(network, images, samples, shares), progress)))
    return found
