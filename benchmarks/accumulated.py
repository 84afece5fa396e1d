"""What a run's folder holds already: methods and seeds of earlier commands, which stay beside those asked for now.

A folder is of one data set, network and recipe, and of one device and number of threads, as all of these change
results. What was made by other code, or by another version of torch, is left out, and that is said: figures that stand
side by side were made alike. A model is read from what its command recorded and never executes a file of a user's
that this command does not name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmarks import runrecord
from benchmarks.config import MethodSpec, RunConfig
from benchmarks.core import received
from benchmarks.core.errors import UsageError
from benchmarks.core.trust import Trust, file_of
from benchmarks.plan import Candidate, Plan, candidate
from benchmarks.store import Store
from benchmarks.trainings import training
from methods.base import MethodSettings
from methods.errors import MethodError
from methods.registry import changed, method_class, parse_settings

Say = Callable[[str], None]


def with_kept(plan: Plan, store: Store, say: Say) -> Plan:
    """The plan with what lies in its folder and fits; what does not is said.

    UsageError, one line, where the folder is of another data set, network, recipe, device or number of threads.
    """
    path = plan.folder / "run.json"
    try:
        record = received.record(path)
        runrecord.check(record)
    except FileNotFoundError:
        return plan
    except (OSError, ValueError) as error:
        say(f"{path} is damaged ({error}): what other commands left in {plan.folder} is left out; repeat them")
        return plan
    _check_same(plan, record)
    if (points := record.get("configuration", {}).get("points")) != plan.config.points:
        say(
            f"{plan.folder}: --points {plan.config.points} is for all that lies there, which had {points}; "
            "what was timed at other points is left out, time it again"
        )
    asked = {(one.name, one.settings, seed) for seed in plan.config.seeds for one in plan.candidates}
    kept, others = [], []
    for seed, one in _recorded(plan, record, say):
        if (one.name, one.settings, seed) in asked:
            kept.append((seed, one))
        elif _fits(plan, store, one, seed, say):
            kept.append((seed, one))
            others.append((seed, one))
    if not others:
        return replace(plan, found=record)
    say(f"{plan.folder} holds results of other commands, which stay: {_named(others)}")
    return replace(plan, kept=tuple(kept), found=record)


def configuration(plan: Plan) -> RunConfig:
    """The configuration of all that lies in a folder: repeated, its command makes all of it, and what is missing of
    its methods and seeds."""
    asked = plan.config
    if not plan.kept:
        return asked
    everything = plan.everything
    reference = any(one.label == "plain" for one in everything)
    named = [_written(one, everything, plan) for one in everything if one.label != "plain"]
    others = {key: text for key, text in asked.set.items() if key.partition(".")[0] in (asked.dataset, "recipe")}
    plugins = [*map(Path, plan.found["configuration"].get("plugin") or ()), *asked.plugin]
    return asked.model_copy(
        update={
            "methods": tuple(name for name, _ in named) or ("plain",),
            "set": others | {key: text for _, own in named for key, text in own.items()},
            "seeds": plan.seeds,
            "routing": None,
            "reference": reference,
            "plugin": tuple({file.name: file for file in plugins}.values()),
        }
    )


def _written(one: Candidate, everything: Sequence[Candidate], plan: Plan) -> tuple[str, dict[str, str]]:
    """How `--methods` names a candidate, and what `--set` has to add: settings with a colon in them cannot stand behind
    a name, and behind `--set` they are those of every variant."""
    if _read_back(one.label) == one.settings:
        return one.label, {}
    texts = changed(one.settings)
    if sum(other.name == one.name for other in everything) > 1:
        raise UsageError(
            f"{plan.folder} holds {one.name} with other settings, and no one command has both: choose another --output"
        )
    return one.name, {f"{one.name}.{key}": text for key, text in texts.items()}


def _read_back(label: str) -> MethodSettings | None:
    """The settings that `--methods` would read in a name."""
    try:
        spec = MethodSpec.parse(label)
        return parse_settings(spec.name, spec.settings)
    except ValueError:
        return None


def _check_same(plan: Plan, record: Mapping[str, Any]) -> None:
    data, asked = plan.data, record.get("configuration", {})
    about, environment = record.get("data", {}), record.get("environment", {})
    backbones = {str(model.get("backbone")) for model in record.get("models", [])}
    own = plan.candidates[0].backbone
    pairs = {
        "data set": (about.get("name"), plan.dataset),
        "training images": (str(about.get("train_fingerprint"))[:12], data.train.fingerprint[:12]),
        "test images": (str(about.get("test_fingerprint"))[:12], data.test.fingerprint[:12]),
        "network": (", ".join(sorted(backbones)), own) if own not in backbones and backbones else (own, own),
        "recipe": _recipes(record.get("recipe", {}), plan.recipe.model_dump(mode="json")),
        "--cross-fit": (asked.get("cross_fit"), plan.config.cross_fit),
        "number of calibration images": (
            about.get("calibration_images"),
            len(plan.parts.fit) + len(plan.parts.select),
        ),
        "calibration images": (
            str(about.get("calibration_fingerprint"))[:12],
            plan.calibrating.fingerprint[:12],
        ),
        "device": (environment.get("device"), plan.device.type),
        "number of threads": (asked.get("threads"), plan.config.threads),
    }
    for what, (there, here) in pairs.items():
        if there != here:
            raise UsageError(
                f"{plan.folder} holds results with the {what} {there}, and this command has {here}: "
                "choose another --output"
            )


def _recipes(there: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[str, str]:
    """Both recipes, by what differs."""
    differing = [key for key in {**there, **here} if there.get(key) != here.get(key)]
    one, other = (", ".join(f"{key} {recipe.get(key)}" for key in differing) for recipe in (there, here))
    return one, other


def _recorded(plan: Plan, record: Mapping[str, Any], say: Say) -> Iterable[tuple[int, Candidate]]:
    """The seeds and candidates that run.json has, in its order; what cannot be made here is said."""
    trust = Trust.of([*plan.config.plugin, *(file_of(f) for one in plan.candidates for f in one.settings.files())])
    made = {(one.name, one.settings): one for one in plan.candidates}
    for model in record.get("models", []):
        try:
            seed, name = int(model["seed"]), str(model["method"])
            settings = method_class(name).Settings.model_validate(model["settings"])
            if (name, settings) not in made:
                trust.check(str(model["job"]), settings.files(), model.get("files", {}))
                made[name, settings] = candidate(plan, name, settings)
            yield seed, made[name, settings]
        except (LookupError, TypeError, ValidationError, MethodError, UsageError) as error:
            say(f"left out: {model.get('job')}: {str(error).partition(chr(10))[0]}")


def _fits(plan: Plan, store: Store, one: Candidate, seed: int, say: Say) -> bool:
    """Whether training would be the one that was recorded."""
    job = training(plan, one, seed)
    if store.lies("train", job.name, job.inputs):
        return True
    say(f"left out: {one.label} (seed {seed}): made by other code or another torch; name it in --methods to repeat it")
    return False


def _named(kept: Sequence[tuple[int, Candidate]]) -> str:
    seeds: dict[str, list[str]] = {}
    for seed, one in kept:
        seeds.setdefault(one.label, []).append(str(seed))
    return "; ".join(f"{label} (seed{'s' * (len(of) > 1)} {', '.join(of)})" for label, of in seeds.items())
