"""The graph of shared work: trees of prefixes by brute force, joins by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from methods.base import Answer
from methods.cost import Costs
from methods.errors import MethodError
from methods.graph import IMAGES, Graph, Node, Probe, State, Work, chain, single, tensors

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


# Joins ------------------------------------------------------------------------------------------


def joined() -> Graph:
    """Two branches of one stem that join, and each branch alone with an end of its own."""
    stem = chain(("stem",))
    left, right = stem.then(("left",)), stem.then(("right", 1), ("right", 2))
    both = Work(("join",), (left, right)).then(("head",))
    return Graph([Answer("left", left.then(("head",))), Answer("both", both)], [Probe("right", right)])


def test_a_join_stands_behind_all_that_it_takes_and_belongs_to_whoever_asks_for_it() -> None:
    g = joined()
    assert [node.label for node in g.nodes] == [
        "both: stem", "both: left", "left: head", "both: right 1", "both: right 2", "both: join", "both: head",
    ]  # fmt: skip
    assert [node.inputs for node in g.nodes] == [(-1,), (0,), (1,), (0,), (3,), (1, 4), (5,)]
    assert g.paths == ((0, 1, 2), (0, 1, 3, 4, 5, 6), (0, 3, 4))
    assert [node.output for node in g.nodes] == [None, None, 0, None, 2, None, 1]


def test_a_sweep_gives_a_join_its_inputs_in_order_and_frees_what_nobody_needs_any_more() -> None:
    g, states, held = joined(), {IMAGES: torch.zeros(1)}, []

    def run(node: Node, x: State) -> State:
        held.append(len(states))
        return torch.cat([*tensors(x), torch.full((1,), float(node.index))])

    said = {node.index: single(y, node.label).tolist() for node, y in g.sweep(run, states)}
    assert said[5] == [0, 0, 1, 0, 0, 3, 4, 5]
    assert states == {}
    assert max(held) == 2


def test_what_was_asked_before_is_not_run_again_and_a_probe_within_it_is_there_already() -> None:
    g = joined()
    assert [node.index for node in g.plan((1,), before=(0,)).nodes] == [3, 4, 5, 6]
    assert [node.index for node in g.plan((1,), before=(0, 2)).nodes] == [5, 6]
    assert g.plan((2,), before=(1,)).nodes == ()
    assert left(g, 1) == {"left", "right"}  # the head of the left alone is not run, the probe not asked


def test_equal_work_on_equal_inputs_is_one_node_whoever_spells_it() -> None:
    chained = Answer("a", (("x",), ("y",)))
    spelled_out = Answer("b", Work(("z",), (Work(("y",), (Work(("x",)),)),)))
    assert len(Graph([chained, spelled_out]).nodes) == 3
    with pytest.raises(MethodError, match="same work"):
        Graph([chained, Answer("b", chain(("x",), ("y",)))])


def test_the_same_step_on_two_inputs_is_two_nodes_with_labels_of_their_own() -> None:
    twice = Work(("join",), tuple(chain((side,)).then(("tower",)) for side in ("left", "right")))
    labels = [node.label for node in Graph([Answer("a", twice)]).nodes]
    assert labels == ["a: left", "a: tower", "a: right", "a: tower (2)", "a: join"]


def test_work_may_be_deeper_than_pythons_stack() -> None:
    deep = chain(*(("layer", k) for k in range(5000)))
    assert len(Graph([Answer("a", deep)]).nodes) == 5000


def test_work_of_nothing_and_answers_that_end_in_several_states_are_refused() -> None:
    with pytest.raises(MethodError, match="has no work"):
        Graph([Answer("a", ())])
    with pytest.raises(MethodError, match="at least one step"):
        chain()
    with pytest.raises(MethodError, match="takes nothing"):
        Graph([Answer("a", Work(("x",), ()))])
    with pytest.raises(MethodError, match="'a' ends in a tuple"):
        single((torch.zeros(1), torch.zeros(1)), "a")


def joining(inner: st.SearchStrategy[Work | None]) -> st.SearchStrategy[Work]:
    """Work on one to three of these."""
    inputs = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.builds(Work, st.sampled_from([("a",), ("b",)]), inputs)


@given(st.recursive(st.none(), joining, max_leaves=12))
def test_any_expression_computes_what_its_recursion_computes_with_each_distinct_piece_once(work: Work | None) -> None:
    if work is None:
        return

    def by_recursion(here: Work | None) -> str:
        return "i" if here is None else f"{here.step[0]}({','.join(map(by_recursion, here.inputs))})"

    ran: list[str] = []

    def run(node: Node, x: Any) -> Any:
        ran.append(f"{node.step[0]}({','.join(x) if isinstance(x, tuple) else x})")
        return ran[-1]

    states: Any = {IMAGES: "i"}
    said = [y for _, y in Graph([Answer("a", work)]).sweep(run, states)]
    assert said[-1] == by_recursion(work)
    assert len(set(ran)) == len(ran)


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
