"""`cite`: BibTeX of the suite, of a method's papers, or of an entry of the leaderboard."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.core.errors import UsageError

HELP = "Print BibTeX for the suite, for methods, or for entries of the leaderboard."
ROOT = Path(__file__).parents[2]
ENTRIES = ROOT / "reports" / "leaderboard" / "entries"

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[METHOD|ENTRY]...", help="The suite itself where none is given.")
]


def cite(names: Names = None) -> None:
    """Each paper once, in the order asked for."""
    found = [text for name in names for text in _cited(name)] if names else [suite()]
    print("\n\n".join(dict.fromkeys(found)))


def suite() -> str:
    """The suite's own BibTeX entry, at this version."""
    from reports.paper.citing import software

    return software((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def _cited(name: str) -> list[str]:
    from methods.registry import entries, nearest

    method = name.partition(":")[0]
    if method in entries():
        return papers(method)
    for path in (Path(name), ENTRIES / name, ENTRIES / f"{name}.json"):
        if path.is_file():
            return _result(path)
    files = sorted(path.stem for path in ENTRIES.glob("*.json"))
    known = nearest(name, dict.fromkeys([*entries(), *files]))
    if files and known.startswith("known are"):
        known = f"{nearest(name, entries())}, and the names of entries, such as {files[0]}"
    raise UsageError(f"'{name}' is no method and no entry of the leaderboard; {known}")


def papers(method: str, backbone: str = "") -> list[str]:
    """BibTeX of a method's papers and of its backbone's; a comment says where there is none to print."""
    from methods import references
    from methods.registry import entries

    entry = entries().get(method)
    backbones = [paper.text for paper in references.of_backbone(backbone)]
    if entry is None:
        return [f"% {' '.join(method.split())}: not a method of this suite, cite its authors", *backbones]
    return [*(paper.text for paper in references.of_method(entry)), *backbones] or [f"% {method}: {entry.citation}"]


def _result(path: Path) -> list[str]:
    """An entry of the leaderboard, with the papers of its method and backbone beside it."""
    from benchmarks.leaderboard.entry import read
    from reports.paper.citing import result

    entry = read(path)
    about = {
        "method": entry.label, "backbone": entry.backbone, "dataset": entry.dataset.name,
        "fingerprint": entry.dataset.test_fingerprint, "protocol": str(entry.protocol), "tier": entry.tier,
        "date": entry.date, "suite": entry.environment.suite_version, "version": str(entry.method_version),
    }  # fmt: skip
    return [result(path.stem, about), *papers(entry.method, entry.backbone)]
