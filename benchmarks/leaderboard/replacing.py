"""What a submission would write over, and which entries would no longer compare with what is there then. No torch."""

from collections.abc import Iterable, Sequence

from benchmarks.leaderboard.entry import Entry
from benchmarks.leaderboard.judging import closed

TIERS = ("self-reported", "reproduced", "verified")


def problems(entry: Entry, replaced: Iterable[Entry], lost: Sequence[Entry] = ()) -> list[str]:
    """Why an entry is not put in the place of the one of the same that is there; empty where it is no worse.

    `lost`: entries that would no longer compare with the plain network's.
    """
    found = [f"{old.file} {reason}" for old in replaced if old.about == entry.about for reason in _better(old, entry)]
    if entry.label == "plain":
        mine = [other.file for other in lost if other.about[2:] == entry.about[2:]]
        found += [f"{file} would no longer compare with the plain network" for file in mine]
    return [*found, "--replace puts it there all the same"] if found else []


def _better(old: Entry, new: Entry) -> list[str]:
    """In what the entry that is there is better, or another."""
    reasons = []
    if len(old.seeds) > len(new.seeds):
        reasons.append(f"has {len(old.seeds)} seeds, not {len(new.seeds)}")
    if TIERS.index(old.tier) > TIERS.index(new.tier):
        reasons.append(f"is {old.tier}, not {new.tier}")
    own, its = new.training.recipe, old.training.recipe
    other = [key for key in sorted({*own, *its}) if own.get(key) != its.get(key)]
    if other:
        differs = (f"{key} {its.get(key)}, not {own.get(key)}" for key in other)
        reasons.append(f"has another recipe: {', '.join(differs)}")
    return reasons


def lost(before: Sequence[Entry], made: Sequence[Entry]) -> list[Entry]:
    """Entries of before that compare with the plain network's, and would not with what is there once `made` is."""
    stay = [entry for entry in before if all(entry.about != one.about for one in made)]
    after = [*stay, *made]
    return [entry for entry in stay if closed(entry, after) and not closed(entry, before)]
