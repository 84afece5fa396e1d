"""The graph of shared work: trees of prefixes by brute force, joins by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from methods.base import Answer
from methods.cost import Costs
from methods.errors import MethodError
from methods.graph import IMAGES, Graph, State

WORKS = st.lists(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=6).map(tuple), min_size=1, max_size=8, unique=True
)


def tree(*works: str) -> Graph:
    """Answers A0, A1, ... whose steps are the letters of these words."""
    return Graph([Answer(f"A{i}", tuple((letter,) for letter in word)) for i, word in enumerate(works)])


def prefixes(works: list[tuple[str, ...]]) -> set[tuple[str, ...]]:
    return {work[:k] for work in works for k in range(1, len(work) + 1)}


def spelled(t: Graph, answer: int) -> tuple[str, ...]:
    return tuple(str(t.nodes[node].step[0]) for node in t.paths[answer])


def test_shared_prefixes_are_one_node() -> None:
    t = tree("sab", "sac", "sd")
    assert [node.step[0] for node in t.nodes] == ["s", "a", "b", "c", "d"]
    assert t.paths == ((0, 1, 2), (0, 1, 3), (0, 4))


def test_order_is_depth_first_even_if_a_branch_is_taken_up_again_later() -> None:
    t = tree("sab", "sd", "sac")
    assert [node.step[0] for node in t.nodes] == ["s", "a", "b", "c", "d"]


def test_the_same_step_in_another_context_is_another_node() -> None:
    assert len(tree("xa", "ya").nodes) == 4


def test_a_node_is_owned_by_the_last_answer_that_passes() -> None:
    t = tree("sab", "sac", "sd")
    assert [node.owner for node in t.nodes] == ["A2", "A1", "A0", "A1", "A2"]


def test_the_uses_matrix_says_who_executes_what() -> None:
    assert tree("sab", "sac", "sd").uses.astype(int).tolist() == [
        [1, 1, 1, 0, 0],
        [1, 1, 0, 1, 0],
        [1, 0, 0, 0, 1],
    ]


def left(t: Graph, *trail: int) -> set[str]:
    """The states that remain after a trail where any answer may be asked still; `images` are the images."""
    states: dict[int, State] = {IMAGES: torch.zeros(1)}
    for place, output in enumerate(trail):
        for _ in t.sweep(lambda node, x: x, states, t.plan((output,), trail[:place], range(len(t.outputs)))):
            pass
    return {"images" if node == IMAGES else str(t.nodes[node].step[0]) for node in states}


def test_states_remain_that_an_answer_which_was_not_asked_yet_goes_on_from_or_ends_in() -> None:
    t = tree("sab", "sac", "sa", "x")
    assert left(t, 0) == {"images", "a"}
    assert left(t, 0, 1) == {"images", "a"}  # where the third answer ends
    assert left(t, 0, 1, 3) == {"a"}
    assert left(tree("sa", "sab"), 0) == {"a"}
    assert left(tree("sa", "sab"), 1) == {"a"}
    assert left(tree("sa", "sab"), 0, 1) == set()


@given(WORKS)
def test_there_are_as_many_nodes_as_distinct_prefixes(works: list[tuple[str, ...]]) -> None:
    assert len(tree(*map("".join, works)).nodes) == len(prefixes(works))


@given(WORKS)
def test_every_path_spells_its_work(works: list[tuple[str, ...]]) -> None:
    t = tree(*map("".join, works))
    assert [spelled(t, i) for i in range(len(works))] == works


@given(WORKS)
def test_parents_come_before_children_and_subtrees_are_contiguous(works: list[tuple[str, ...]]) -> None:
    t = tree(*map("".join, works))

    def size(node: int) -> int:
        return 1 + sum(size(child) for child in t.nodes[node].children)

    for node in t.nodes:
        expected = node.index + 1
        for child in node.children:
            assert (child, t.nodes[child].inputs) == (expected, (node.index,))
            expected += size(child)


@given(WORKS)
def test_the_owner_passes_through_its_node_and_ends_name_their_answer(works: list[tuple[str, ...]]) -> None:
    t = tree(*map("".join, works))
    for node in t.nodes:
        passing = [i for i, path in enumerate(t.paths) if node.index in path]
        assert node.owner == t.names[max(passing)]
        assert node.output == next((i for i in passing if t.paths[i][-1] == node.index), None)


@given(WORKS, st.data())
def test_a_trail_costs_the_union_of_its_answers(works: list[tuple[str, ...]], data: st.DataObject) -> None:
    t = tree(*map("".join, works))
    macs = data.draw(st.lists(st.integers(0, 99), min_size=len(t.nodes), max_size=len(t.nodes)))
    costs = Costs(tuple(n.label for n in t.nodes), np.array(macs, dtype=np.int64), t.uses)
    chosen = data.draw(st.lists(st.sets(st.integers(0, len(works) - 1), min_size=1), min_size=1, max_size=9))
    visited = np.array([[i in trail for i in range(len(works))] for trail in chosen])
    by_prefix = {work[: k + 1]: macs[node] for i, work in enumerate(works) for k, node in enumerate(t.paths[i])}
    expected = [sum(by_prefix[p] for p in prefixes([works[i] for i in trail])) for trail in chosen]
    assert costs.trails(visited).tolist() == expected


def test_answers_with_the_same_name_no_answers_and_twice_the_same_work_are_refused() -> None:
    with pytest.raises(MethodError, match="distinct names"):
        Graph([])
    with pytest.raises(MethodError, match="distinct names"):
        Graph([Answer("a", (("x",),)), Answer("a", (("y",),))])
    with pytest.raises(MethodError, match="same work"):
        tree("ab", "ab")


def test_an_unknown_answer_is_answered_with_the_known_ones() -> None:
    with pytest.raises(MethodError, match="unknown answer 'A7'; known are A0, A1"):
        tree("a", "b").index("A7")
