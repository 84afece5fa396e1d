"""Records of jobs: found again by what they depend on, whole or not at all."""

from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from harness import silent
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.core.progress import Progress, drive
from benchmarks.core.written import write_text
from benchmarks.store import Store, key_of, safe

INPUTS = {"seed": 0, "settings": {"a": 1, "b": [2, 3]}}


def work() -> Generator[Progress, None, dict[str, Any]]:
    yield Progress(1, 2)
    yield Progress(2, 2)
    return {"answer": 42}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "run")
    made.prepare()
    return made


def test_a_job_is_found_again_by_its_inputs_alone(store: Store) -> None:
    assert store.finished("train", "job", INPUTS, []) is None
    done = drive(store.do("train", "job", INPUTS, work))
    later = Store(store.root)
    assert later.finished("train", "job", INPUTS, []) == done
    assert done.result == {"answer": 42}
    assert later.reused == {done.key}
    assert later.finished("train", "job", INPUTS | {"seed": 1}, []) is None
    assert later.finished("table", "job", INPUTS, []) is None


def test_a_record_without_its_files_does_not_count(store: Store) -> None:
    output, said = store.root / "models" / "job.safetensors", list[str]()
    output.write_text("whole")
    drive(store.do("train", "job", INPUTS, work, [output]))
    later = Store(store.root, said.append)
    assert later.finished("train", "job", INPUTS, [output]) is not None
    for content, state in (("whola", "damaged"), ("whol", "damaged"), (None, "gone"), ("", "damaged")):
        output.unlink(missing_ok=True)
        if content is not None:
            output.write_text(content)
        assert later.finished("train", "job", INPUTS, [output]) is None
        assert f"made again: {output} is {state}" in said.pop()
    output.write_text("whole")
    assert later.finished("train", "job", INPUTS, [output]) is not None
    assert said == []


def test_a_record_vouches_for_what_was_written_last(store: Store) -> None:
    output = store.root / "models" / "job.safetensors"
    output.write_text("one")
    record = drive(store.do("train", "job", INPUTS, work, [output]))
    output.write_text("another")
    assert store.finished("train", "job", INPUTS, [output]) is None
    store.vouch(record, [output])
    found = store.finished("train", "job", INPUTS, [output])
    assert found is not None
    assert found.model_copy(update={"files": {}}) == record.model_copy(update={"files": {}})


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_no_flipped_bit_of_a_record_is_another_result(place: int, bit: int) -> None:
    with TemporaryDirectory() as folder:
        store = Store(Path(folder))
        store.prepare()
        record = drive(store.do("train", "job", INPUTS, work))
        (path,) = (store.root / "jobs").iterdir()
        content = bytearray(path.read_bytes())
        content[place % len(content)] ^= 1 << bit
        path.write_bytes(content)
        said: list[str] = []
        found = Store(store.root, said.append).finished("train", "job", INPUTS, [])
        assert (found, said) == (record, []) or (found is None and said[0].startswith("made again: "))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "train"}', "\x00", "[" * 99_999])
def test_a_damaged_record_does_not_count(content: str, store: Store) -> None:
    drive(store.do("train", "job", INPUTS, work))
    (path,) = (store.root / "jobs").iterdir()
    path.write_text(content)
    assert store.finished("train", "job", INPUTS, []) is None


def test_a_job_about_to_replace_files_takes_the_records_that_vouch_for_them_away(store: Store) -> None:
    output = store.root / "paths" / "job.npz"
    output.write_text("")
    output.with_name("other.npz").write_text("")
    drive(store.do("table", "job", INPUTS, work, [output]))
    drive(store.do("table", "job-2", INPUTS, work, [output.with_name("other.npz")]))
    replacing = store.do("table", "job", INPUTS | {"seed": 1}, work, [output])
    next(replacing)
    assert store.finished("table", "job", INPUTS, [output]) is None
    assert len(list((store.root / "jobs").iterdir())) == 1  # that of job-2


def test_work_that_fails_leaves_no_record(store: Store) -> None:
    def failing() -> Generator[Progress, None, dict[str, Any]]:
        yield Progress(1, 2)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        drive(store.do("train", "job", INPUTS, failing))
    assert not list((store.root / "jobs").iterdir())


def test_keys_depend_on_values_and_not_on_their_order() -> None:
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2}) != key_of({"a": "2"})


def test_a_text_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "points.csv"
    write_text(path, "before")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "after\ud800")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]


def test_checking_a_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    Store(tmp_path / "a/b/c").check_writable()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["plain", "a=b.c-d_e+f", "x" * 150])
def test_ordinary_names_stay_as_they_are(text: str) -> None:
    assert safe(text) == text


@pytest.mark.parametrize("text", ["a/b", "..\\c", "é", "a:b", "*?"])
def test_other_names_become_parts_of_a_file_name(text: str) -> None:
    assert not set("/\\:*?é") & set(safe(text))


def test_progress_is_shown_step_by_step_and_the_result_returned() -> None:
    shown: list[Progress] = []
    assert drive(work(), shown.append) == {"answer": 42}
    assert shown == [Progress(1, 2), Progress(2, 2)]
    with silent("anything") as progress:
        assert drive(work(), progress) == {"answer": 42}
