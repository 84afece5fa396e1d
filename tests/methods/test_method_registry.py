"""Methods by name: nearest names, settings as text and back, and weights that depend on the seed alone."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import make, same, snapshot

from methods import registry
from methods.base import AdjustableModel, MethodSettings
from methods.errors import MethodError
from methods.registry import entries, method_class, nearest, parse_settings, variant

METHODS = ["plain", "sdpoint", "earlyexit", "multiscale", "adaptiveexit", "netselect", "dynres", "static"]


def texts(described: str) -> dict[str, str]:
    """`bn=uniform:every=2` as `parse_settings` takes it."""
    return {} if described == "default" else dict(pair.split("=", 1) for pair in described.split(":"))


def round_trip(name: str, chosen: MethodSettings) -> MethodSettings:
    return parse_settings(name, texts(variant(chosen)))


def test_every_entry_names_a_class_and_its_options_are_settings_with_these_defaults() -> None:
    assert list(entries()) == METHODS
    for name, entry in entries().items():
        found = method_class(name)
        assert issubclass(found, AdjustableModel)
        assert {option.partition("=")[0] for option in entry.options} == set(found.Settings.model_fields)


def test_every_setting_of_the_registry_that_does_not_stand_for_something_is_accepted() -> None:
    companions = {"positions": {"heads": "branchynet", "layers": "3,2"}}
    companions["layers"] = {"heads": "branchynet", "positions": "0,1"}
    for name, entry in entries().items():
        needed = companions if name == "earlyexit" else {"history": {"jumps": "false"}} if name == "netselect" else {}
        for option in entry.options:
            key, _, values = option.partition("=")
            for value in values.split("|"):
                parse_settings(name, {**needed.get(key, {}), key: value})


def test_the_registry_says_axis_decision_citation_and_version_of_every_method() -> None:
    path = Path(registry.__file__).with_name("registry.toml")
    for row in tomllib.loads(path.read_text(encoding="utf-8")).values():
        assert set(row) == {"class", "title", "axis", "decision", "citation", "references", "version", "options"}
        assert row["decision"] in ("static", "per-sample")
        assert row["version"] >= 1
        module, _, name = row["class"].partition(":")
        assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize(
    ("wrong", "answer"),
    [("sdpiont", "did you mean 'sdpoint'"), ("early_exit", "did you mean 'earlyexit'"),
     ("zzz", "known are plain, sdpoint, earlyexit")],
)  # fmt: skip
def test_an_unknown_method_is_answered_with_the_nearest(wrong: str, answer: str) -> None:
    with pytest.raises(MethodError) as raised:
        method_class(wrong)
    assert str(raised.value).startswith(f"unknown method '{wrong}'; {answer}")


def test_an_unknown_setting_is_answered_with_the_nearest() -> None:
    with pytest.raises(MethodError, match="sdpoint has no setting 'ratio'; did you mean 'ratios'"):
        parse_settings("sdpoint", {"ratio": "0.5"})
    with pytest.raises(MethodError, match="plain has no setting 'ratio'; known are size"):
        parse_settings("plain", {"ratio": "0.5"})


def test_nearest_of_nothing_says_so() -> None:
    assert nearest("x", {}) == "known are none"


def test_defaults_are_called_default_whether_given_or_not() -> None:
    assert variant(parse_settings("sdpoint", {})) == "default"
    assert variant(parse_settings("sdpoint", {"ratios": "0.75,0.5", "every": "1"})) == "default"


def test_a_variant_names_what_differs_and_can_leave_out_what_training_does_not_depend_on() -> None:
    chosen = parse_settings("sdpoint", {"ratios": "0.5", "bn": "uniform"})
    assert variant(chosen) == "bn=uniform:ratios=0.5"
    assert variant(chosen.for_training()) == "ratios=0.5"


@given(
    st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True), min_size=1, max_size=3, unique=True),
    st.integers(1, 9),
    st.sampled_from(["instance", "uniform"]),
)
@settings(max_examples=60)
def test_any_sdpoint_variant_parses_back(ratios: list[float], every: int, bn: str) -> None:
    chosen = method_class("sdpoint").Settings(ratios=tuple(ratios), every=every, bn=bn)  # type: ignore[call-arg]
    assert round_trip("sdpoint", chosen) == chosen


@given(
    st.sampled_from(["light", "sdpoint-paper", "branchynet"]),
    st.sampled_from(["entropy", "max_prob", "margin"]),
    st.none() | st.lists(st.floats(0, 10), min_size=3, max_size=3).filter(any),
    st.sampled_from(["none", "plain", "a/b-c.safetensors"]),
    st.none() | st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(0, 4)), min_size=1, max_size=3),
)
@settings(max_examples=60)
def test_any_earlyexit_variant_parses_back(
    heads: str, rule: str, weights: list[float] | None, init: str, branches: list[tuple[int, int]] | None
) -> None:
    values: dict[str, object] = {"heads": heads, "rule": rule, "weights": weights, "init": init}
    if heads == "branchynet" and branches:
        values |= {"positions": [p for p, _ in branches], "layers": [n for _, n in branches]}
    chosen = method_class("earlyexit").Settings.model_validate(values)
    assert round_trip("earlyexit", chosen) == chosen


@pytest.mark.parametrize("backbone", ["resnet8:width=4", "preresnet8:width=4", "resnet18"])
def test_the_same_seed_gives_every_method_the_same_backbone(backbone: str) -> None:
    given = {"netselect": {"networks": "resnet8:width=1"}}
    plain, *others = (snapshot(make(name, backbone, seed=5, **given.get(name, {})).backbone) for name in METHODS)
    for other in others:
        shared = {re.sub(r"\.norms\.\w+", "", name): value for name, value in other.items()}  # private batch norms
        assert same(plain, shared)


def test_the_same_seed_gives_the_same_model_and_another_seed_another() -> None:
    first, again, other = (snapshot(make("earlyexit", seed=s)) for s in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("name", METHODS)
def test_making_a_model_neither_reads_nor_moves_the_global_random_numbers(name: str) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = snapshot(make(name))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(snapshot(make(name)), first)
