import os
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.data.cache import Arrays, cached, folder


class Maker:
    """Makes arrays and counts how often."""

    calls = 0

    def __call__(self) -> Arrays:
        self.calls += 1
        return {"x": np.arange(1000, dtype=np.uint8)}


def test_arrays_are_made_once(cache: Path) -> None:
    make = Maker()
    for _ in range(3):
        assert np.array_equal(cached("key", make)["x"], np.arange(1000, dtype=np.uint8))
    assert make.calls == 1
    assert [path.name for path in cache.iterdir()] == ["key.npz"]


@pytest.mark.parametrize("damage", ["flip a byte", "cut", "empty", "text"])
def test_a_corrupt_file_is_made_again(cache: Path, damage: str) -> None:
    cached("key", Maker())
    path = cache / "key.npz"
    whole = bytearray(path.read_bytes())
    whole[500] ^= 1
    path.write_bytes({"flip a byte": bytes(whole), "cut": whole[:700], "empty": b"", "text": b"hello"}[damage])
    make = Maker()
    assert cached("key", make)["x"][3] == 3
    assert make.calls == 1
    cached("key", make)
    assert make.calls == 1


def test_arrays_that_are_not_valid_are_made_again() -> None:
    make = Maker()
    cached("key", make)
    cached("key", make, lambda arrays: "y" in arrays)
    assert make.calls == 2


def test_a_pickled_object_in_the_cache_is_never_loaded(cache: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(cache / "sprung"),)  # type: ignore[return-value]

    cache.mkdir()
    np.savez(cache / "key.npz", x=np.array([Trap()], dtype=object))
    make = Maker()
    assert cached("key", make)["x"].dtype == np.uint8
    assert make.calls == 1
    assert not (cache / "sprung").exists()


def test_a_cache_that_cannot_be_written_costs_a_warning(cache: Path) -> None:
    cache.write_text("a file where the folder would be")
    with pytest.warns(UserWarning, match="cannot cache"):
        assert len(cached("key", Maker())["x"]) == 1000


def test_a_failed_write_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        cached("key", Maker())
    assert list(cache.iterdir()) == []


def test_without_the_variable_the_cache_is_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COST_ADJUSTABLE_CACHE")
    assert folder().name == "cost-adjustable-inference"


def keys(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.npz")}


def aged(folder: Path, key: str, seconds: int) -> None:
    """Make a stored file one that was used so long ago."""
    then = time.time() - seconds
    os.utime(folder / f"{key}.npz", (then, then))


def test_the_least_recently_used_of_a_kind_go_when_there_are_too_many(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.data.cache.LIMIT", 2500)  # two files of a kibibyte and their headers

    def made() -> Arrays:
        return {"x": np.zeros(800, dtype=np.uint8)}

    for age, key in enumerate(("other-z", "kind-a", "kind-b")):
        cached(key, made)
        aged(cache, key, 1000 - 100 * age)
    (cache / "kind-notes.txt").write_text("a user's own")
    cached("kind-a", made)  # used again, so b is the older one
    cached("kind-c", made)
    assert keys(cache) == {"other-z", "kind-a", "kind-c"}
    assert (cache / "kind-notes.txt").exists()


def test_what_was_stored_last_stays_however_large_it_is(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.data.cache.LIMIT", 10)
    for key in ("kind-a", "kind-b"):
        cached(key, lambda: {"x": np.arange(100)})
    assert keys(cache) == {"kind-b"}
