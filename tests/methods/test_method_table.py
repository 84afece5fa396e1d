"""Path tables: what an answer says, in numbers that are right at the edges too."""

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import earlyexit, images, lively, table_of

from methods.errors import MethodError
from methods.table import PER_ANSWER, PathTable, columns, signal

logits_and_labels = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.lists(st.integers(-2, 2), min_size=5, max_size=5), min_size=n, max_size=n),
        st.lists(st.integers(0, 4), min_size=n, max_size=n),
    )
)


def certain(classes: int) -> torch.Tensor:
    return torch.tensor([[1000.0] + [0.0] * (classes - 1)])


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
def test_entropy_of_the_uniform_is_ln_c_and_of_certainty_zero_not_nan(classes: int) -> None:
    assert signal("entropy", torch.zeros(1, classes)).item() == pytest.approx(math.log(classes), rel=1e-5)
    assert signal("entropy", certain(classes)).item() == 0


def test_probabilities_of_certainty_are_exactly_one_and_of_the_uniform_as_derived() -> None:
    assert signal("max_prob", certain(10)).item() == signal("margin", certain(10)).item() == 1
    assert signal("max_prob", torch.zeros(1, 4)).item() == 0.25
    assert signal("margin", torch.zeros(1, 4)).item() == 0


def test_signals_of_a_distribution_derived_by_hand() -> None:
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    assert signal("max_prob", logits).item() == pytest.approx(0.5)
    assert signal("margin", logits).item() == pytest.approx(0.25)
    assert signal("entropy", logits).item() == pytest.approx(1.5 * math.log(2))


def test_signals_of_half_precision_logits_are_computed_in_single() -> None:
    logits = torch.randn(4, 10, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert torch.equal(signal("entropy", logits), signal("entropy", logits.float()))


@given(logits_and_labels)
def test_a_label_rank_of_zero_says_exactly_that_the_prediction_is_right_ties_included(
    drawn: tuple[list[list[int]], list[int]],
) -> None:
    logits, labels = torch.tensor(drawn[0]).float(), torch.tensor(drawn[1])
    found = columns(logits, labels)
    assert ((found["label_rank"] == 0) == (found["prediction"] == labels.numpy())).all()
    above = (logits > logits.gather(1, labels[:, None])).sum(1).numpy()
    assert ((found["label_rank"] == above) | (above == 0)).all()
    assert (found["label_rank"] < 5).all()


def test_loss_is_the_cross_entropy_of_the_label() -> None:
    logits, labels = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 5
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    np.testing.assert_allclose(columns(logits, labels)["loss"], expected, rtol=1e-5)


@pytest.fixture(scope="module")
def table() -> PathTable:
    model = earlyexit()
    lively(model)
    return table_of(model, images(20), 20)


def equal(a: PathTable, b: PathTable) -> bool:
    arrays = all(
        np.array_equal(getattr(a, f), getattr(b, f)) and getattr(a, f).dtype == getattr(b, f).dtype
        for f in (*PER_ANSWER, "labels", "sample_id")
    )
    costs = np.array_equal(a.costs.macs, b.costs.macs) and np.array_equal(a.costs.uses, b.costs.uses)
    names = (a.answers, a.costs.work, a.costs.uncounted) == (b.answers, b.costs.work, b.costs.uncounted)
    return arrays and costs and names


def test_a_saved_table_comes_back_as_it_was(table: PathTable, tmp_path: Path) -> None:
    table.save(tmp_path / "t.npz")
    assert equal(PathTable.load(tmp_path / "t.npz"), table)
    assert [p.name for p in tmp_path.iterdir()] == ["t.npz"]


def test_a_table_of_files_keeps_their_names(table: PathTable, tmp_path: Path) -> None:
    named = PathTable(
        table.answers,
        table.costs,
        **{f: getattr(table, f) for f in (*PER_ANSWER, "labels")},
        sample_id=np.array([f"a/ü{i}.png" for i in range(20)]),
    )
    named.save(tmp_path / "t.npz")
    assert equal(PathTable.load(tmp_path / "t.npz"), named)


def test_a_table_with_a_pickle_in_it_is_refused_and_the_pickle_never_runs(table: PathTable, tmp_path: Path) -> None:
    path, touched = tmp_path / "t.npz", tmp_path / "touched"

    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (touched,)

    table.save(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{**arrays, "labels": np.array([Trap()], dtype=object)})
    with pytest.raises(MethodError, match="not a whole path table"):
        PathTable.load(path)
    assert not touched.exists()
    pickle.loads(pickle.dumps(Trap()))
    assert touched.exists()


def test_a_truncated_table_is_one_line_that_says_what_to_do(table: PathTable, tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    table.save(path)
    whole = path.read_bytes()
    for kept in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        with pytest.raises(MethodError, match="delete it and run again"):
            PathTable.load(path)


@given(st.lists(st.integers(0, 19), min_size=1, max_size=20))
@settings(max_examples=20)
def test_a_part_is_the_table_of_those_samples(rows: list[int]) -> None:
    model = earlyexit("resnet8:width=1")
    whole = table_of(model, images(20, 8), 20)
    part = whole.part(np.array(rows))
    assert part.labels.tolist() == whole.labels[rows].tolist()
    assert np.array_equal(part.entropy, whole.entropy[:, rows])
    assert np.array_equal(part.correct, whole.correct[:, rows])
    assert part.costs is whole.costs
