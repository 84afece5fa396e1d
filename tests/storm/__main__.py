"""A storm over a tiny run: kills, pairs of processes, flipped bits, truncations, counted by how they end.

    python tests/storm --kills 200 --pairs 50 --flips 1000 --truncations 200 --folder storm

Every trial draws from its own seed and is one line of trials.jsonl in the folder; stopped, the same command goes on.
Status 1 where anything was wrong in silence, stuck or a trace. summary.json has the counts and what went wrong.
"""

import argparse
import collections
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"kills": 10, "pairs": 5, "flips": 100, "truncations": 20}


def main() -> int:
    """Do what is missing, and sum up."""
    asked = arguments()
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(ROOT))
    asked.folder.mkdir(parents=True, exist_ok=True)
    log = asked.folder / "trials.jsonl"
    whole = lines(log)
    log.write_text("".join(whole), encoding="utf-8")
    done = {trial["id"]: trial for trial in map(json.loads, whole)}
    wanted = {f"{kind}-{asked.seed}-{n}": kind for kind in KINDS for n in range(getattr(asked, kind))}
    if missing := {name: kind for name, kind in wanted.items() if name not in done}:
        with tempfile.TemporaryDirectory(prefix="storm-") as work:
            for trial in storm(missing, Path(work)):
                done[trial["id"]] = trial
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(trial) + "\n")
    return summed([done[name] for name in wanted], asked.folder)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A storm over a tiny run.")
    for kind, count in KINDS.items():
        parser.add_argument(f"--{kind}", type=int, default=count)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True, help="for trials.jsonl and summary.json")
    return parser.parse_args()


def lines(path: Path) -> list[str]:
    """Whole lines of a log; that of a killed storm may end in half a one."""
    return [line for line in path.read_text().splitlines(True) if line.endswith("}\n")] if path.exists() else []


def storm(missing: dict[str, str], work: Path):
    """Trial by trial, each of its own seed."""
    os.environ["COST_ADJUSTABLE_CACHE"] = str(work / "cache")
    without_pictures()
    import trials

    base = trials.made(work / "runs")
    for name, kind in missing.items():
        began = time.monotonic()
        found = trials.TRIALS[kind](base, random.Random(name))
        took = time.monotonic() - began
        print(f"{name}: {found['outcome']} {found.get('file', '')} {took:.1f} s", flush=True)
        yield {"id": name, "kind": kind, "took": took, **found}


def without_pictures() -> None:
    """`run` draws no page: `report` does, once a trial. Pictures are drawn by another program from what the page holds
    anyway."""
    import vl_convert

    from reports.data import records
    from reports.html import render

    def written(folder: Path) -> list[Path]:
        run = records.read(folder)
        return [render.replace(folder / "report.html", run.points.to_csv().encode())]

    vl_convert.vegalite_to_svg = lambda picture, **options: json.dumps(picture)
    vl_convert.vegalite_to_png = lambda picture, **options: json.dumps(picture).encode()
    render.write = written


def summed(found: list[dict], folder: Path) -> int:
    """Count, write and print; the exit status."""
    from trials import BAD

    counts = {kind: dict(collections.Counter(t["outcome"] for t in found if t["kind"] == kind)) for kind in KINDS}
    bad = [trial for trial in found if trial["outcome"] in BAD]
    seconds = sum(trial["took"] for trial in found)
    summary = {"counts": counts, "seconds": seconds, "bad": bad}
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    for kind, ends in counts.items():
        print(f"{kind}: {sum(ends.values())} " + ", ".join(f"{count} {end}" for end, count in sorted(ends.items())))
    print(f"{len(bad)} wrong in silence, stuck or traces; {seconds:.0f} s; {folder / 'summary.json'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
