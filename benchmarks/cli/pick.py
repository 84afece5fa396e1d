"""`pick`: the best operating point of a run within a budget, and the lines of Python that load it."""

import json
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.core.errors import UsageError
from benchmarks.core.trust import file_of, locations

if TYPE_CHECKING:
    from benchmarks.selection.pick import Picked, Tested

HELP = "Name the best operating point of a run within a budget, chosen on calibration images, and how to load it."

Run = Annotated[Path, typer.Argument(help="Folder of a finished run.")]
MaxMacs = Annotated[str | None, typer.Option(help="MACs an image at most, such as 20M or 1.5G.")]
MaxLatency = Annotated[float | None, typer.Option(min=0, help="Milliseconds a batch at most, as timed on test images.")]
MaxMemory = Annotated[str | None, typer.Option(help="Stored bytes of the model at most, such as 5MB or 5MiB.")]
MinAccuracy = Annotated[str | None, typer.Option(help="Accuracy at least, such as 0.9 or 90%.")]
Worst = Annotated[bool, typer.Option("--worst-case", help="MACs of the dearest image, and p99 of the latency.")]
Seed = Annotated[int | None, typer.Option(help="Look at the models of one seed only.")]
Batch = Annotated[int | None, typer.Option(min=1, help="With --max-latency-ms: images a batch; 1 by default.")]
Threads = Annotated[int | None, typer.Option(min=1, help="The same: the fewest that were timed by default.")]
Backend = Annotated[str | None, typer.Option(help="The same: eager (the default), compile or onnx.")]
Device = Annotated[str | None, typer.Option(help="The same: cpu (the default where it was timed) or cuda.")]
Json = Annotated[bool, typer.Option("--json", help="Print the pick for machines.")]


def pick(
    run: Run, max_macs: MaxMacs = None, max_latency_ms: MaxLatency = None, max_memory: MaxMemory = None,
    min_accuracy: MinAccuracy = None, worst_case: Worst = False, seed: Seed = None, batch_size: Batch = None,
    threads: Threads = None, backend: Backend = None, device: Device = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Read the run's tables, choose on select, and print what the choice does on the test images."""
    from benchmarks.selection import units

    if all(bound is None for bound in (max_macs, max_latency_ms, max_memory, min_accuracy)):
        raise UsageError(
            "say what is wanted: --max-macs 20M, --max-latency-ms 3, --max-memory 5MB or --min-accuracy 0.9"
        )
    condition = {"--batch-size": batch_size, "--threads": threads, "--backend": backend, "--device": device}
    given = [option for option, value in condition.items() if value is not None]
    if given and max_latency_ms is None:
        raise UsageError(f"{given[0]} says how latency was timed: it needs --max-latency-ms")
    macs = max_macs and units.macs("--max-macs", max_macs)
    stored_bytes = max_memory and units.size("--max-memory", max_memory)
    accuracy = min_accuracy and units.share("--min-accuracy", min_accuracy)
    from benchmarks import stored
    from benchmarks.selection.budget import Budget
    from benchmarks.selection.pick import pick as picked
    from benchmarks.selection.timed import Wanted

    budget = Budget(macs or None, max_latency_ms, stored_bytes or None, accuracy or None, worst_case)
    found = picked(stored.read(run), budget, seed, Wanted(batch_size or 1, threads, backend or "eager", device))
    print(json.dumps(entry(found), indent=1) if as_json else "\n".join([*told(found), "", *lines(found)]))


def lines(picked: "Picked") -> list[str]:
    """Four lines of Python that load the pick and answer images with it."""
    run, offer = picked.run, picked.use.offer
    record = run.record
    shape = ", ".join(map(str, record["data"]["image_shape"]))
    files = [PurePath(file).name for file in record["configuration"].get("plugin") or []]
    files += [str(file_of(location)) for location in _networks(picked)]
    plugins = f", plugins={files!r}" if files else ""
    seed = f", seed={offer.seed}" if len(run.seeds) > 1 else ""
    return [
        "import benchmarks",
        f"model = benchmarks.load({str(run.folder)!r}{plugins}).at({offer.name!r}{seed})",
        f"logits = model(images)  # images uint8 [n, {shape}], logits [n, {len(record['data']['classes'])}]",
        "classes = [model.classes[i] for i in logits.argmax(1)]",
    ]


def _networks(picked: "Picked") -> list[str]:
    """The FILE.py:FUNCTION that networks of the picked model come from."""
    offer = picked.use.offer
    models = (model for model in picked.run.models if (model.label, model.seed) == (offer.series, offer.seed))
    return [location for model in models for location in locations(model.settings)]


def told(picked: "Picked") -> list[str]:
    """The pick in words, a line a subject."""
    from benchmarks.selection.units import short

    offer, cost = picked.use.offer, "at most for any image" if picked.budget.worst_case else "on average"
    of = f", seed {offer.seed}" if len(picked.run.seeds) > 1 else ""
    return [
        f"{offer.name}{of}",
        f"  select: {offer.accuracy:.1%} at {short(offer.macs)} MACs {cost}",
        f"  test:   {_test(picked.use)}",
        f"  stored: {short(offer.stored_bytes)}B, weights and statistics of all its points",
        *(f"  runs:   {one}, Python that is executed when it is loaded" for one in _networks(picked)),
        *_latency(picked),
        *_seeds(picked),
        *_doubts(picked),
    ]


def _test(tested: "Tested") -> str:
    from benchmarks.selection.units import short

    interval = f"{100 * tested.low:.1f} to {100 * tested.high:.1f}, {tested.samples:,} images"
    dearest = f", {short(tested.macs_max)} for the dearest image" if tested.macs_max > tested.macs else ""
    return f"{tested.accuracy:.1%} ({interval}) at {short(tested.macs)} MACs on average{dearest}"


def _latency(picked: "Picked") -> list[str]:
    """What the latency was timed on, and under which condition."""
    if picked.timed is None:
        return []
    import torch

    from benchmarks.core.environment import describe

    condition, offer = picked.timed.condition, picked.use.offer
    figure = "p99" if picked.budget.worst_case else "p50"
    found = [f"  time:   {offer.latency_ms:.3g} ms a batch of test images ({figure}; {condition.label})"]
    record = picked.run.record
    there, here = record.get("timing_environment") or record["environment"], describe(torch.device(condition.device))
    if any(there.get(part) != here.get(part) for part in ("cpu", *["gpu"] * (condition.device == "cuda"))):
        found.append(f"          timed on another machine: {there.get('gpu') or there.get('cpu')}")
    if condition.backend != "eager":
        found.append(f"          timed with {condition.backend}; the lines below execute it eagerly")
    if picked.timed.flagged:
        count = picked.timed.flagged
        found.append(f"          left out: {count} point{'s' * (count > 1)} whose timing is flagged")
    return found


def _seeds(picked: "Picked") -> list[str]:
    """How the series stands seed by seed, and why this seed."""
    found = []
    if len(picked.seeds) > 1:
        each = ", ".join(f"{one.offer.seed}: {one.accuracy:.1%} ({one.offer.point})" for one in picked.seeds)
        why = "most accurate on select" if picked.budget.costs else "cheapest on select"
        found += [
            f"  seeds:  {picked.use.offer.series} has {picked.select_accuracy:.1%} on select over {len(picked.seeds)}"
            f" seeds; on test {each}; seed {picked.use.offer.seed} is the {why}"
        ]
    elif len(picked.run.seeds) > 1:
        why = "was timed" if picked.timed else "was looked at"
        found += [f"  seeds:  only seed {picked.use.offer.seed} of {len(picked.run.seeds)} {why}"]
    if picked.left_out:
        found.append(f"  left out, as not every seed has them: {', '.join(picked.left_out)}")
    return found


def _doubts(picked: "Picked") -> list[str]:
    """What test images leave open: whether an asked accuracy is reached, and whether another series does as well."""
    found, wanted = [], picked.budget.accuracy
    if wanted is not None and picked.use.low < wanted:
        state = "open" if picked.use.high >= wanted else "unlikely"
        found.append(f"  {wanted:.1%} is reached on select; that test images reach it is {state}")
    rival = picked.runner_up
    if rival is not None:
        from benchmarks.selection.pick import LEVEL

        several = len(picked.against) > 1
        each = "; ".join(
            f"{f'seed {one.seed}: ' if several else ''}pick {100 * one.difference:+.1f} points, McNemar p = {one.p:.2g}"
            for one in picked.against
        )
        found += [f"runner-up: {rival.offer.name}", f"  test:   {_test(rival)}"]
        lost = all(one.difference < 0 and one.p < LEVEL for one in picked.against)
        verdict = "better" if lost else "not told apart from the pick" + " with every seed" * several
        found.append(f"  {verdict} on the same test images, which choose nothing ({each})")
    return found


def entry(picked: "Picked") -> dict[str, Any]:
    """The pick as plain data; accuracies in [0, 1], MACs per image, bytes, milliseconds per batch."""
    timed = picked.timed
    return {
        "run": str(picked.run.folder),
        "budget": asdict(picked.budget),
        "pick": _figures(picked.use),
        "seeds": [_figures(one) for one in picked.seeds],
        "select_accuracy": picked.select_accuracy,
        "runner_up": picked.runner_up and _figures(picked.runner_up),
        "against": [asdict(one) for one in picked.against],
        "condition": None if timed is None else timed.condition.columns(),
        "load": lines(picked),
    }


def _figures(tested: "Tested") -> dict[str, Any]:
    figures = asdict(tested)
    return {"name": tested.offer.name, "select": figures.pop("offer"), "test": figures}
