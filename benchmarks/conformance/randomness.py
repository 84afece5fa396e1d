"""Randomness: everything follows from the seed that a method is given."""

from benchmarks.conformance.generators import seeded
from benchmarks.conformance.honesty import differences
from benchmarks.conformance.subject import BATCH, Finding, Subject, answered, named, same, world


def same_seed_same_model(subject: Subject) -> Finding:
    """The same seed gives the same weights, statistics and points, wherever the global random numbers stand."""
    changed = list(differences(subject.world, world(subject.config, subject.folder / "again", seed=1)))
    if changed:
        return Finding(False, f"trained again: {named(changed)} differ")
    return Finding(True, "trained again at other global random numbers: every bit the same")


def global_random_numbers_are_untouched(subject: Subject) -> Finding:
    """Neither training nor inference draws from a global random generator, and no answer depends on one."""
    model, images = subject.model(), subject.images[:BATCH]
    said = []
    for seed in (0, 1):
        with seeded(seed) as moved:
            said.append([answered(model, point, images) for point in subject.points])
    drawn = [f"training draws from {name}" for name in subject.world.moved]
    drawn += [f"inference draws from {name}" for name in moved]
    drawn += [p.name + " differs" for p, one, two in zip(subject.points, *said, strict=True) if not same(one, two)]
    return Finding(not drawn, named(drawn) or "Python's, numpy's and torch's generators stand where they stood")
