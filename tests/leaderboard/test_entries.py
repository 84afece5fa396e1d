"""Entries: that they hold what a run found, in little space, and say it again to the last digit."""

import base64
import json
import lzma
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from entering import Made, Silence, changed, one_seed
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.config import configure
from benchmarks.core.errors import UsageError
from benchmarks.data.base import DataSet
from benchmarks.data.splits import partition
from benchmarks.leaderboard.asking import command, configuration
from benchmarks.leaderboard.bundle import UNPUBLISHED, bundle
from benchmarks.leaderboard.entry import Asked, Entry, read, write
from benchmarks.leaderboard.figures import figures
from benchmarks.leaderboard.packing import Packed, pack, pack_texts, unpack, unpack_texts
from benchmarks.leaderboard.registered import hash_of_numbers, hash_of_texts, registered
from benchmarks.leaderboard.trails import decisions, possible
from benchmarks.plan import prepare
from benchmarks.runner import Runner
from benchmarks.stored import read as stored_run
from methods.registry import parse_settings, variant
from methods.routers import OperatingPoint
from methods.routing import simulate


@given(st.lists(st.lists(st.integers(0, 70_000), min_size=3, max_size=3), min_size=1, max_size=20))
def test_what_is_packed_comes_back(rows: list[list[int]]) -> None:
    packed = pack(np.array(rows))
    assert unpack(Packed.model_validate_json(packed.model_dump_json())).tolist() == rows


@given(st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8")), min_size=1, max_size=9))
def test_names_of_images_come_back(names: list[str]) -> None:
    assert unpack_texts(pack_texts(names)) == tuple(names)


def test_numbers_below_zero_are_not_packed() -> None:
    with pytest.raises(ValueError, match="from 0 on"):
        pack(np.array([-1]))


def test_a_small_array_is_packed_and_unpacked_in_little_memory() -> None:
    small = lzma.LZMADecompressor(memlimit=1 << 18)
    assert len(small.decompress(base64.b85decode(pack(np.arange(100)).data))) == 100


@pytest.mark.parametrize(
    "parts",
    [{"shape": (5,)}, {"shape": (3,)}, {"shape": (1 << 40,)}, {"data": "not base 85 "}, {"data": "0000"}],
)
def test_damaged_arrays_are_said_to_be(parts: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="array"):
        unpack(pack(np.arange(4)).model_copy(update=parts))


def test_the_figures_are_those_of_the_runs_points(made: Made) -> None:
    told = pd.read_csv(made.run.folder / "points.csv", keep_default_na=False)
    for entry in made.entries.values():
        mine = told[(told["method"] == entry.method) & (told["variant"] == entry.variant) & (told["kind"] == "point")]
        own = pd.DataFrame([row.model_dump() for row in entry.figures.points])
        assert len(own) == len(mine) > 0
        for column in own:
            theirs = mine[column].astype(own[column].dtype).reset_index(drop=True)
            pd.testing.assert_series_equal(own[column], theirs, rtol=1e-12, check_names=False)


def test_a_file_is_read_as_it_was_written_under_the_name_of_its_content(made: Made, tmp_path: Path) -> None:
    entry = made.entries["earlyexit:routing=learned"]
    path = write(entry, tmp_path)
    assert path.name == f"digits-resnet8-earlyexit-routing=learned-p1-{entry.digest[:8]}.json"
    assert read(path) == entry
    assert changed(entry, tuning="other").file != path.name
    assert changed(entry, tier="reproduced").file == path.name


def test_a_seed_takes_a_few_bytes_an_image(early: Entry) -> None:
    seed = early.seeds[0]
    arrays = (seed.test_prediction, seed.test_top5, seed.test_trail, seed.select_right, seed.select_trail)
    images = early.dataset.test_images + early.dataset.calibration_images
    assert sum(len(one.data) for one in arrays) < 15 * images


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema_version": 2}', "\x00"])
def test_a_file_that_is_no_entry_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "no.json"
    path.write_text(content)
    with pytest.raises(UsageError) as told:
        read(path)
    assert len(str(told.value).splitlines()) == 1


def test_trails_and_their_decisions_are_those_of_the_routers(made: Made) -> None:
    for model in made.run.models:
        table = model.test()
        for point in model.points:
            router = point.router.model_dump(mode="json")
            routing = simulate(table, point.router)
            for row, macs in zip(routing.visited, routing.router_macs, strict=True):
                trail = [output for output in point.router.outputs if row[output]]
                assert possible(router, trail, 10)
                assert decisions(router, trail) == macs


@pytest.mark.parametrize(
    ("router", "allowed"),
    [
        ({"kind": "constant", "answer": 1}, [(1,)]),
        ({"kind": "argmax", "probe": 3, "options": [0, 2], "bias": [0, 0]}, [(3, 0), (3, 2)]),
        (
            {"kind": "threshold", "cascade": [0, 1, 2], "signal": "margin", "thresholds": [0.5, None]},
            [(0,), (0, 1, 2)],
        ),
        (
            {
                "kind": "learned", "cascade": [0, 1, 2], "features": ["margin"],
                "policies": [{"weights": [[1], [1]], "bias": [0, 0]}, {"weights": [[1]], "bias": [0]}],
            },
            [(0,), (0, 1), (0, 1, 2), (0, 2)],
        ),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_the_trails_a_router_allows(router: dict[str, object], allowed: list[tuple[int, ...]]) -> None:
    OperatingPoint.model_validate({"name": "p", "router": router})
    some = [(a, *rest) for a in range(4) for rest in ((), *((b, *c) for b in range(4) for c in ((), (0,), (1,), (2,))))]
    assert sorted(trail for trail in [*some, ()] if possible(router, trail, 10)) == sorted(allowed)


def test_a_router_nobody_knows_allows_nothing() -> None:
    with pytest.raises(ValueError, match="oracle"):
        possible({"kind": "oracle"}, (0,), 10)


def test_figures_are_recomputed_without_torch(made: Made, early: Entry, tmp_path: Path) -> None:
    path = write(early, tmp_path)
    code = (
        "import sys; from pathlib import Path; from benchmarks.leaderboard import entry, figures, judging;"
        f"one = entry.read(Path({str(path)!r})); assert not judging.stated(one); assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_the_command_of_an_entry_is_of_its_method_alone(made: Made) -> None:
    entry = made.entries["earlyexit:routing=learned"]
    assert entry.command == (
        "python -m benchmarks run --methods earlyexit:routing=learned --dataset digits --epochs 1 --seeds 0,1,2"
        " --points 8"
    )


@pytest.mark.parametrize(
    ("method", "texts", "expected"),
    [
        ("sdpoint", {"bn": "uniform", "ratios": "0.5/0.75/0.25"}, "--methods sdpoint:bn=uniform:ratios=0.25/0.5/0.75"),
        ("netselect", {"networks": "resnet8:width=8"}, "--set netselect.networks=resnet8:width=8"),
        ("static", {"networks": "resnet8:width=8/resnet8:width=12", "sizes": "8"}, "--set static.sizes=8"),
    ],
)
def test_every_settings_of_a_method_can_be_written_and_are_read_back(
    early: Entry, method: str, texts: dict[str, str], expected: str
) -> None:
    settings = parse_settings(method, texts)
    label = f"{method}:{variant(settings)}"
    record = {"points": 20, "recipe": "smoke", "set": {"sdpoint.every": "2"}, "plugin": ["mine.py"]}
    asked = configuration(record, label, settings.model_dump(mode="json"), "resnet8", early.dataset, [0])
    assert expected in command(asked)
    (spec,) = configure({**asked.model_dump(exclude={"plugin"}), "reference": False}).specs()
    assert (spec.name, parse_settings(spec.name, spec.settings)) == (method, settings)


def test_an_entrys_backbone_is_named_as_the_suite_names_it(made: Made, tmp_path: Path) -> None:
    asked = {"dataset": "digits", "methods": "plain", "latency": "off", "threads": 1, "epochs": 1}
    plan = prepare(configure({**asked, "backbone": "resnet8:width=16", "output": tmp_path / "run"}))
    Runner(plan, lambda _: Silence()).run()
    (entry,) = bundle(stored_run(tmp_path / "run"), [], "closed", "none", UNPUBLISHED)
    assert (entry.backbone, entry.configuration.backbone) == ("resnet8", "resnet8")
    assert made.judged(entry)["command"].result == "holds"


def test_a_command_names_no_folder_and_keeps_the_settings_of_data_and_recipe() -> None:
    asked = Asked(
        methods=("sdpoint",), dataset="imagefolder", data_root="DATA_ROOT", dataset_name="pictures", backbone="resnet8",
        recipe="smoke", epochs=None, seeds=(0,), points=20, plugin=(),
        set={"recipe.lr": "0.2", "imagefolder.size": "32"},
    )  # fmt: skip
    assert command(asked) == (
        "python -m benchmarks run --methods sdpoint --dataset imagefolder --data-root DATA_ROOT "
        "--dataset-name pictures --seeds 0 --set recipe.lr=0.2 --set imagefolder.size=32"
    )


def test_a_method_the_run_does_not_have_is_refused(made: Made) -> None:
    with pytest.raises(UsageError, match="has no dynres; it has plain, sdpoint"):
        bundle(made.run, ["dynres"], "closed", "none", UNPUBLISHED)


def test_one_seed_has_no_interval_and_no_spread(early: Entry) -> None:
    alone = figures(changed(early, seeds=early.seeds[:1]))
    assert (alone.summary.low, alone.summary.high) == (None, None)
    assert all(row.low == row.high == row.accuracy for row in alone.budgets)


def test_a_budget_that_one_seed_cannot_buy_has_no_accuracy(early: Entry) -> None:
    dear = [point for point in early.seeds[0].points if point.router == {"kind": "constant", "answer": 2}]
    places = [early.seeds[0].points.index(point) for point in dear]
    first = early.seeds[0]
    kept = {name: pack(unpack(getattr(first, name))[:, places]) for name in ("test_trail", "select_trail")}
    found = figures(one_seed(early, points=tuple(dear), **kept))
    assert [row.accuracy is None for row in early.figures.budgets] == [True, False, False, False]
    assert [row.accuracy is None for row in found.budgets] == [True, True, True, False]


def test_an_entry_is_one_field_a_line(early: Entry, tmp_path: Path) -> None:
    text = write(early, tmp_path).read_text()
    assert text.startswith('{\n"schema_version": 1,\n')
    assert json.loads(text)["method"] == "earlyexit"


@pytest.mark.parametrize(("source", "name"), [("digits", "digits"), ("shapes", "shapes-v1")])
def test_embedded_data_sets_are_registered_as_they_are(source: str, name: str, embedded: Mapping[str, DataSet]) -> None:
    data, known = embedded[source], registered()[name]
    assert (data.train.fingerprint, data.test.fingerprint) == (known.train_fingerprint, known.test_fingerprint)
    assert hash_of_numbers(data.test.labels) == known.labels_sha256
    select = partition(data.train.labels).select
    assert hash_of_texts([str(one) for one in data.train.ids[select]]) == known.select_ids_sha256
