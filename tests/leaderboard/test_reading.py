"""Files of entries that are no entries: what takes memory, reads in two ways or hides something is refused by a rule,
and the other entries are judged all the same."""

import base64
import json
import lzma
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entering import Made, changed, cli, one_seed, restated
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.core.errors import UsageError
from benchmarks.leaderboard import reading
from benchmarks.leaderboard.entry import FOLDER, Entry, read, text, write
from benchmarks.leaderboard.packing import MOST, Packed, pack, pack_texts, unpack, unpack_texts


def folded(count: int, dtype: str = "uint8") -> dict[str, Any]:
    """So many zeros, packed as an entry's arrays are: a few bytes."""
    zeros = lzma.compress(bytes(count * np.dtype(dtype).itemsize), preset=9)
    return {"dtype": dtype, "shape": [count], "data": base64.b85encode(zeros).decode()}


def with_array(whole: str, array: dict[str, Any]) -> str:
    content = json.loads(whole)
    content["seeds"][0]["test_top5"] = array
    return json.dumps(content)


def with_arrays(whole: str) -> str:
    """Every seed's arrays as large as one may be."""
    content, array = json.loads(whole), folded(MOST)
    for seed in content["seeds"]:
        seed |= {name: array for name in seed if name.startswith(("test_", "select_"))}
    return json.dumps(content)


def twice(whole: str) -> str:
    return whole.replace('"tuning":', '"tuning": "mine",\n"tuning":', 1)


def tuned(said: str) -> Callable[[str], str]:
    return lambda whole: re.sub(r'"tuning": "[^"]*"', lambda _: f'"tuning": "{said}"', whole, count=1)


STRANGE: dict[str, tuple[Callable[[str], str], str]] = {
    "key twice": (twice, "'tuning' stands twice"),
    "key twice inside": (lambda w: w.replace('"answers":', '"answers": 1, "answers":', 1), "'answers' stands twice"),
    "NaN": (lambda w: re.sub(r'"mean": [0-9.]+', '"mean": NaN', w, count=1), "NaN is no number"),
    "-Infinity": (lambda w: re.sub(r'"mean": [0-9.]+', '"mean": -Infinity', w, count=1), "-Infinity is no number"),
    "1e999": (lambda w: re.sub(r'"mean": [0-9.]+', '"mean": 1e999', w, count=1), "summary.mean: a number is beyond"),
    "digits": (lambda w: w.replace('"protocol": 1', f'"protocol": {"1" * 5000}', 1), "digits"),
    "2**53 + 2": (lambda w: w.replace('"protocol": 1', f'"protocol": {2**53 + 2}', 1), "protocol: a number is beyond"),
    "blanks before": (lambda w: " " * 2_000_000 + w, "most of it is blanks"),
    "blanks between": (lambda w: w.replace(",\n", "," + "\n\t" * 100_000, 10), "most of it is blanks"),
    "megabytes": (lambda w: w + "\n" * reading.FILE, "more than 8,388,608 bytes"),
    "a long text": (tuned("x" * 2001), "tuning: a text of 2,001 characters"),
    "an escape": (tuned("\\u001b[2J"), r"tuning: a text holds U\+001B"),
    "a line": (tuned("a\\nb"), r"tuning: a text holds U\+000A"),
    "an override": (tuned("abc\u202ecba"), r"tuning: a text holds U\+202E"),
    "an override, escaped": (tuned("abc\\u202ecba"), r"tuning: a text holds U\+202E"),
    "an isolate": (tuned("\u2066x"), r"tuning: a text holds U\+2066"),
    "no width": (tuned("sd\u200bpoint"), r"tuning: a text holds U\+200B"),
    "a soft hyphen": (tuned("sd\u00adpoint"), r"tuning: a text holds U\+00AD"),
    "a filler": (tuned("\u3164"), r"tuning: a text holds U\+3164"),
    "a variation": (tuned("a\ufe0f"), r"tuning: a text holds U\+FE0F"),
    "a blank that is none": (tuned("a\u00a0b"), r"tuning: a text holds U\+00A0"),
    "a lone surrogate": (tuned("\\ud800"), r"tuning: a text holds U\+D800"),
    "private use": (tuned("\ue000"), r"tuning: a text holds U\+E000"),
    "two forms": (tuned("e\u0301"), "tuning: a text is not in Unicode's normal form C"),
    "a hidden key": (lambda w: w.replace('"tuning"', '"tuning\\u200b"', 1), r"a text holds U\+200B"),
    "lists": (lambda w: w.replace('"settings": {', '"settings": {"a": ' + "[" * 50 + "]" * 50 + ", ", 1), "too deeply"),
    "all lists": (lambda w: "[" * 100_000 + "]" * 100_000, "too deeply"),
    "a tail": (lambda w: w + "{}", "it is no JSON: Extra data"),
    "a mark": (lambda w: "\ufeff" + w, "it is no JSON"),
    "a long array": (lambda w: with_array(w, folded(1) | {"data": "0" * 2000}), "text is longer than its numbers need"),
    "no shape": (lambda w: with_array(w, folded(1) | {"shape": []}), "no packed array"),
    "a shape of one": (lambda w: with_array(w, folded(1) | {"shape": [1.0]}), "no packed array"),
    "many arrays": (with_arrays, "numbers, 67,108,864 at most"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_what_no_entry_is_is_refused_before_anything_is_unfolded(early: Entry, tmp_path: Path, name: str) -> None:
    change, reason = STRANGE[name]
    content, path = change(text(early)), tmp_path / "entry.json"
    assert content != text(early)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=f"is no entry this version reads: .*{reason}") as told:
        read(path)
    assert len(str(told.value)) < 500
    assert str(told.value).isprintable()


def test_an_entry_that_unfolds_to_gigabytes_is_small_and_refused(early: Entry) -> None:
    content = with_arrays(text(early))
    assert len(content) < 100_000
    assert reading.problems(content)


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b"\x00", b""])
def test_bytes_that_are_no_text_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "entry.json").write_bytes(content)
    with pytest.raises(UsageError, match="is no entry this version reads"):
        read(tmp_path / "entry.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "link.json").symlink_to("/dev/zero")
    for name in ("pipe.json", "link.json"):
        with pytest.raises(UsageError, match="is no file"):
            read(tmp_path / name)


def test_the_entries_there_are_keep_the_rule() -> None:
    paths = sorted((FOLDER / "entries").glob("*.json"))
    assert paths
    for path in paths:
        assert not reading.problems(text(read(path)))


def test_check_names_the_rule_and_judges_the_others(made: Made, board: Path) -> None:
    write(made.entries["plain"], board / "entries")
    for name, (change, _) in STRANGE.items():
        (board / "entries" / f"{name}.json").write_text(change(text(made.entries["plain"])), encoding="utf-8")
    done = cli("check", "--output", board)
    assert done.return_value == 1
    assert f"entries: {len(STRANGE) + 1}, refused: {len(STRANGE)}" in done.output
    assert done.output.count("readable: ") == len(STRANGE)
    assert "figures      holds" in done.output


def test_what_check_would_not_read_is_not_submitted(made: Made, board: Path) -> None:
    done = cli("submit", made.run.folder, "--methods", "plain", "--tuning", "so\u202eand so", "--output", board)
    assert done.return_value == 1
    assert "readable: plain: tuning: a text holds U+202E" in done.output
    assert not (board / "entries").exists()


def test_trails_that_would_not_fit_memory_are_not_read(early: Entry, tmp_path: Path) -> None:
    first = early.seeds[0]
    point = first.points[0].model_copy(update={"checks": ()})
    many = one_seed(early, trails=first.trails[:1] * 50_000, points=(point,) * 400)
    with pytest.raises(UsageError, match="too many trails, units of work or points"):
        read(write(many, tmp_path))


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ({"backbone": "resnet8:width=5000"}, "costs"),
        ({"dataset": {"classes": 10_000_000}}, "costs"),
        ({"dataset": {"image_shape": (3, 50_000, 50_000)}}, "costs"),
    ],
    ids=["backbone", "classes", "images"],
)
def test_a_network_that_would_not_fit_memory_is_not_built(
    made: Made, early: Entry, parts: dict[str, Any], what: str
) -> None:
    dataset = early.dataset.model_copy(update=parts.get("dataset", {}))
    verdict = made.judged(changed(early, **{**parts, "dataset": dataset}))[what]
    assert verdict.result == "refused"
    assert re.search(r"cannot be counted again: it (has more than|takes a tensor of)", verdict.problems[0])


# Packed arrays ------------------------------------------------------------------------------------


def test_an_array_of_too_many_numbers_is_not_unfolded() -> None:
    with pytest.raises(ValueError, match="numbers at most"):
        unpack(Packed.model_validate(folded(MOST + 1)))


@settings(max_examples=20)
@given(st.lists(st.integers(0, 255), max_size=50), st.binary(min_size=1, max_size=20))
def test_nothing_is_packed_behind_an_array(values: list[int], behind: bytes) -> None:
    packed = pack(np.array(values, dtype=np.int64))
    raw = base64.b85decode(packed.data)
    for more in (behind, lzma.compress(behind), b"\0" * 4):
        with pytest.raises(ValueError, match="behind it"):
            unpack(packed.model_copy(update={"data": base64.b85encode(raw + more).decode()}))


@settings(max_examples=20)
@given(st.integers(1, 60), st.integers(0, 59))
def test_an_array_that_was_cut_off_is_said_to_be(count: int, left: int) -> None:
    packed = pack(np.arange(count))
    raw = base64.b85decode(packed.data)
    with pytest.raises(ValueError, match="array"):
        unpack(packed.model_copy(update={"data": base64.b85encode(raw[: min(left, len(raw) - 1)]).decode()}))


def test_another_format_or_a_large_dictionary_is_not_unfolded() -> None:
    zeros = bytes(100)
    large = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**30}]
    for data in (lzma.compress(zeros, lzma.FORMAT_ALONE), lzma.compress(zeros, filters=large)):
        with pytest.raises(ValueError, match="is damaged"):
            unpack(Packed(dtype="uint8", shape=(100,), data=base64.b85encode(data).decode()))


def test_texts_are_the_bytes_of_lines() -> None:
    names = pack_texts(["a", "b"])
    for packed in (pack(np.array([97, 300])), names.model_copy(update={"shape": (1, 3)})):
        with pytest.raises(ValueError, match="bytes of lines"):
            unpack_texts(packed)


def test_a_restated_forgery_is_read_and_left_to_the_other_rules(made: Made, early: Entry, tmp_path: Path) -> None:
    assert read(write(restated(changed(early, tuning="Größe, naïve, 数")), tmp_path)).tuning == "Größe, naïve, 数"
