"""Names of backbones: one way to write each, and the cheaper networks one would train instead."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from methods.backbones import build
from methods.backbones.specification import Relatives, families, parse, relatives
from methods.errors import MethodError
from methods.names import alike

EXAMPLES = [example for facts in families().values() for example in facts["examples"]]


@st.composite
def specs(draw: st.DrawFn) -> str:
    """A known name with some of its options in any order, at values with up to four decimals."""
    name = draw(st.sampled_from(EXAMPLES))
    options = families()[parse(name).family]["options"]
    chosen = draw(st.permutations(sorted(options)))[: draw(st.integers(0, len(options)))]
    pairs = []
    for option in chosen:
        facts = options[option]
        if isinstance(facts["default"], int):
            value = str(draw(st.integers(facts["minimum"], 64)))
        else:
            low, high = (round(1e4 * facts.get(limit, 2)) for limit in ("minimum", "maximum"))
            value = f"{draw(st.integers(low, high)) / 1e4:.4f}"
        pairs.append(f"{option}={value}")
    return ":".join(part for part in (name, ",".join(pairs)) if part)


@given(spec=specs())
@settings(deadline=None)
def test_the_canonical_text_means_the_same_and_is_its_own(spec: str) -> None:
    text = parse(spec).text
    assert parse(text) == parse(spec)
    assert parse(text).text == text


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("resnet14", "resnet14"),
        ("resnet14:width=16", "resnet14"),
        ("resnet14:width=32", "resnet14:width=32"),
        ("wrn-16-4:stochastic_depth=.5,dropout=0.30,width=8", "wrn-16-4:width=8,dropout=0.3,stochastic_depth=0.5"),
        ("mobilenet_v2:width=2", "mobilenet_v2:width=2"),
        ("mobilenet_v2:width=1", "mobilenet_v2"),
        ("wrn-16-4:stochastic_depth=0", "wrn-16-4:stochastic_depth=0"),
    ],
)
def test_a_backbone_knows_its_canonical_text(spec: str, text: str) -> None:
    with torch.device("meta"):
        assert build(spec, 10).spec == text


def test_whole_numbers_stay_whole_and_fractions_are_floats() -> None:
    found = parse("wrn-16-4:width=8,dropout=0.25").settings
    assert found == {"width": 8, "dropout": 0.25, "stochastic_depth": 1.0}
    assert {key: type(value) for key, value in found.items()} == {
        "width": int, "dropout": float, "stochastic_depth": float,
    }  # fmt: skip


# --- Relatives


@pytest.mark.parametrize(
    ("spec", "depths", "widths"),
    [
        ("resnet8", (), ("resnet8:width=8", "resnet8:width=12")),
        ("resnet20", ("resnet8", "resnet14"), ("resnet20:width=8", "resnet20:width=12")),
        ("resnet20:width=6", ("resnet8:width=6", "resnet14:width=6"), ("resnet20:width=3",)),
        ("resnet8:width=1", (), ()),
        (
            "preresnet14:dropout=0.1",
            ("preresnet8:dropout=0.1",),
            ("preresnet14:width=8,dropout=0.1", "preresnet14:width=12,dropout=0.1"),
        ),
        ("wrn-28-4", ("wrn-10-4", "wrn-16-4", "wrn-22-4"), ("wrn-28-4:width=8", "wrn-28-4:width=12")),
        ("wrn-10-2:width=32", (), ("wrn-10-2", "wrn-10-2:width=24")),
        ("resnext29-8x64d", ("resnext11-8x64d", "resnext20-8x64d"), ("resnext29-8x32d", "resnext29-8x48d")),
        ("resnext11-8x1d", (), ()),
        (
            "densenet-bc-40-12:dropout=0.2",
            ("densenet-bc-22-12:dropout=0.2",),
            ("densenet-bc-40-6:dropout=0.2", "densenet-bc-40-9:dropout=0.2"),
        ),
        ("resnet50", ("resnet18", "resnet34"), ()),
        ("resnext101_64x4d", ("resnext50_32x4d",), ()),
        ("wide_resnet101_2", ("wide_resnet50_2",), ()),
        ("densenet201", ("densenet121", "densenet169"), ()),
        ("mobilenet_v2", (), ("mobilenet_v2:width=0.5", "mobilenet_v2:width=0.75")),
        ("googlenet", (), ()),
        ("alexnet", (), ()),
    ],
)
def test_relatives_are_the_shallower_and_the_narrower_networks(
    spec: str, depths: tuple[str, ...], widths: tuple[str, ...]
) -> None:
    assert relatives(spec) == Relatives(depths, widths)


@given(spec=specs())
@settings(deadline=None)
def test_relatives_are_written_canonically_and_differ_from_each_other_and_from_the_network(spec: str) -> None:
    found = relatives(spec)
    names = [*found.depths, *found.widths]
    assert [parse(name).text for name in names] == names
    assert len({*names, parse(spec).text}) == len(names) + 1


@pytest.mark.parametrize("spec", ["resnet32", "wrn-22-2", "resnext29-4x8d", "densenet-bc-40-12", "mobilenet_v2"])
def test_relatives_cost_less_than_the_network_and_rise_in_cost(spec: str) -> None:
    def macs(name: str) -> int:
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            build(name, 10).eval()(torch.empty(1, 3, 32, 32))
        return int(counter.get_total_flops())

    found, full = relatives(spec), macs(spec)
    for names in (found.depths, found.widths):
        costs = [macs(name) for name in names]
        assert costs == sorted(set(costs))
        assert all(cost < full for cost in costs)


def test_relatives_of_an_unknown_network_are_refused() -> None:
    with pytest.raises(MethodError, match="resnet14"):
        relatives("resnet15")


# --- Near names


def test_near_names_begin_alike_first_and_are_none_where_nothing_is_like_the_word() -> None:
    assert alike("resnet15", ["preresnet14", "resnet14", "vgg"]) == ["resnet14", "preresnet14"]
    assert alike("ResNet14", ["resnet14"]) == ["resnet14"]
    assert alike("zzz", ["resnet14"]) == []
    assert alike("", []) == []
