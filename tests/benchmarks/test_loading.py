"""`benchmarks.load(run).at(point)`: the measured model at one point, ready to use."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import Finished, do, small

import benchmarks
import benchmarks.data
from benchmarks import stored
from benchmarks.cli.pick import lines
from benchmarks.core.errors import UsageError
from benchmarks.data import load
from benchmarks.evaluation.collecting import BATCH
from benchmarks.selection.budget import Budget
from benchmarks.selection.pick import pick
from methods import registry
from methods.routers import Constant
from methods.routing import simulate
from methods.table import columns

HOUSE = Path(__file__).parents[2]


def test_importing_the_package_imports_no_torch() -> None:
    code = (
        "import sys, benchmarks; benchmarks.load; assert not {'torch', 'pandas', 'typer', 'numpy'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=HOUSE, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("name", ["plain/full", "sdpoint/p2_r0.5", "sdpoint:bn=uniform/p1_r0.75", "earlyexit/exit2"])
def test_a_loaded_point_answers_test_images_as_the_runs_table_says(finished: Finished, name: str) -> None:
    ready = benchmarks.load(finished.folder).at(name)
    series, _, point = name.rpartition("/")
    (model,) = (model for model in stored.read(finished.folder).models if model.label == series)
    table = model.test()
    routing = simulate(table, next(p for p in model.points if p.name == point).router)
    images = torch.from_numpy(benchmarks.data.load("digits").test.images)
    logits = ready(images)
    assert logits.shape == (359, 10)
    assert logits.dtype == torch.float32
    assert not logits.requires_grad
    assert not ready.training
    assert np.array_equal(logits.argmax(1).numpy(), table.prediction[routing.answer, np.arange(359)])
    assert ready.classes == tuple("0123456789")


def test_a_loaded_point_gives_the_logits_behind_the_runs_table_bit_for_bit(finished: Finished) -> None:
    run, test = benchmarks.load(finished.folder), load("digits").test
    images, labels = torch.from_numpy(test.images), torch.from_numpy(test.labels)
    compared = 0
    for model in run.stored.models:
        table = model.test()
        for point in model.points:
            if isinstance(point.router, Constant):
                ready = run.at(f"{model.label}/{point.name}")
                logits = [ready(batch) for batch in images.tensor_split(-(-len(images) // BATCH))]
                said = columns(torch.cat(logits), labels)
                row = point.router.answer
                assert all(np.array_equal(getattr(table, name)[row], values) for name, values in said.items())
                compared += 1
    assert compared > 10


def test_a_per_sample_point_routes_and_its_network_says_where(finished: Finished) -> None:
    run = benchmarks.load(finished.folder)
    (name, *_) = [point.name for point in run.points if point.decision == "per-sample"]
    ready = run.at(name)
    images = torch.from_numpy(benchmarks.data.load("digits").test.images)
    logits, answer = ready.network(ready.network.standardise(images))
    assert torch.allclose(logits, ready(images), atol=1e-4)
    assert set(answer.tolist()) <= set(range(len(ready.network.graph.names)))


def test_every_listed_point_has_the_figures_of_points_csv(finished: Finished) -> None:
    run = benchmarks.load(str(finished.folder))
    assert run.models == ("plain", "sdpoint", "sdpoint:bn=uniform", "earlyexit")
    assert len(run.points) == sum(len(model.points) for model in run.stored.models)
    said = {(m.label, p): figures for m in run.stored.models for p, figures in m.said.items()}
    assert all((one.macs, one.accuracy) == said[tuple(one.name.rsplit("/", 1))] for one in run.points)


def test_the_series_may_be_left_out_where_one_alone_has_the_point(finished: Finished) -> None:
    run = benchmarks.load(finished.folder)
    assert run.at("exit2").name == "earlyexit/exit2"
    with pytest.raises(UsageError, match="several series have a point 'full': write 'plain/full' or 'sdpoint/full' or"):
        run.at("full")


def test_a_point_there_is_not_is_refused_with_the_nearest(finished: Finished) -> None:
    run = benchmarks.load(finished.folder)
    with pytest.raises(UsageError, match=r"no point 'sdpoint/p2_r0\.4'; did you mean 'sdpoint"):
        run.at("sdpoint/p2_r0.4")
    with pytest.raises(UsageError, match="has no seed 3; it has 0"):
        run.at("exit2", seed=3)


def test_images_that_are_no_pixels_or_of_another_size_are_refused(finished: Finished) -> None:
    ready = benchmarks.load(finished.folder).at("plain/full")
    for images in (torch.rand(2, 3, 8, 8), torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.zeros(3, 8, 8).byte()):
        with pytest.raises(UsageError, match=r"images are uint8 \[n, 3, 8, 8\], not "):
            ready(images)


def test_weights_that_are_missing_or_not_the_measured_ones_are_refused(finished: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("checkpoints", "jobs"))
    run = benchmarks.load(tmp_path / "copy")
    (path,) = (tmp_path / "copy/models").glob("earlyexit*")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UsageError, match="is not the file that was measured: its hash differs"):
        run.at("exit2")
    path.unlink()
    with pytest.raises(UsageError, match="is missing: the run's models were not kept with it"):
        run.at("exit2")


def test_no_run_no_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no finished run"):
        benchmarks.load(tmp_path)


def test_the_lowest_seed_that_has_the_point_is_taken(tmp_path: Path) -> None:
    do(small(tmp_path, methods="plain", seeds="1,0", backbone="resnet8:width=4"))
    run = benchmarks.load(tmp_path)
    weights = [next(run.at("full", seed=seed).parameters()) for seed in (None, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_lines_that_pick_prints_run(finished: Finished) -> None:
    names = {"images": torch.from_numpy(benchmarks.data.load("digits").test.images)}
    exec("\n".join(lines(pick(stored.read(finished.folder), Budget(macs=1e9)))), names)
    assert len(names["classes"]) == 359
    assert set(names["classes"]) <= set("0123456789")


def test_a_method_in_a_file_is_loaded_where_the_file_is_given(tmp_path: Path) -> None:
    source = tmp_path / "twin.py"
    source.write_text(
        "from methods.plain import Plain\n\n"
        "class Twin(Plain):\n"
        "    title, axis, decision, citation = 'A twin of plain', 'none', 'static', 'nobody'\n"
    )
    before = registry.added()
    try:
        folder = tmp_path / "run"
        do(small(folder, methods="twin", plugin=[source], backbone="resnet8:width=4"))
        registry._ADDED.clear()
        assert benchmarks.load(folder, plugins=[source]).at("twin/full").name == "twin/full"
        (_, load, *_) = lines(pick(stored.read(folder), Budget(macs=1e9)))
        assert "plugins=['twin.py']" in load
    finally:
        registry._ADDED.clear()
        registry._ADDED.update(before)
