"""Models on disk: everything comes back, and nothing that is not a model is taken for one."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from toys import earlyexit, images, lively, make, same, sdpoint, snapshot, table_of

from methods.base import AdjustableModel
from methods.errors import MethodError
from methods.storage import load, load_part, load_tensors, save, save_tensors

BACKBONE = "resnet8:width=4"


def ready(method: str, backbone: str = BACKBONE, side: int = 32, **given: str) -> AdjustableModel:
    """A model for images of this side with statistics and operating points."""
    model: AdjustableModel = make(method, backbone, (3, side, side), **given)
    lively(model)
    model.collect_statistics([images(16, side, seed=1)])
    model.mean, model.std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    model.points = tuple(model.operating_points(table_of(model, images(32, side), 32), 8))
    return model


def one_line(error: pytest.ExceptionInfo[MethodError]) -> bool:
    return "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save(ready("sdpoint"), path, "sdpoint", BACKBONE)
    return path


@pytest.mark.parametrize(
    ("method", "backbone", "given"),
    [("plain", BACKBONE, {}), ("sdpoint", BACKBONE, {}), ("sdpoint", "preresnet8:width=4", {"ratios": "0.3"}),
     ("sdpoint", BACKBONE, {"bn": "uniform"}), ("earlyexit", BACKBONE, {"rule": "margin"}),
     ("earlyexit", BACKBONE, {"heads": "branchynet", "positions": "0,2", "layers": "1,0", "init": "plain"}),
     ("sdpoint", "resnet18", {})],
)  # fmt: skip
@torch.no_grad()
def test_a_loaded_model_says_the_same_bit_for_bit_at_every_point(
    method: str, backbone: str, given: dict[str, str], tmp_path: Path
) -> None:
    side = 64 if backbone == "resnet18" else 32
    model = ready(method, backbone, side, **given)
    save(model, tmp_path / "m.safetensors", method, backbone)
    again = load(tmp_path / "m.safetensors")
    for fact in ("points", "settings", "image_shape", "mean", "std"):
        assert getattr(again, fact) == getattr(model, fact)
    assert not again.training
    x = images(6, side, seed=2)
    for point in model.points:
        model.point = again.point = point.name
        for a, b in zip(model(x), again(x), strict=True):
            assert torch.equal(a, b), point.name
    for a, b in zip(model.trace(x).values(), again.trace(x).values(), strict=True):
        assert torch.equal(a, b)


@torch.no_grad()
def test_a_model_without_statistics_comes_back_without(tmp_path: Path) -> None:
    model = earlyexit()
    lively(model)
    save(model, tmp_path / "m.safetensors", "earlyexit", BACKBONE)
    again = load(tmp_path / "m.safetensors")
    assert torch.equal(again(images(3)).logits, model(images(3)).logits)


@torch.no_grad()
def test_a_loaded_model_can_collect_statistics_again(stored: Path) -> None:
    again, model = load(stored), ready("sdpoint")
    for m in (again, model):
        m.collect_statistics([images(16, seed=7)])
    assert same(again.tensors(), model.tensors())


def test_saving_twice_gives_the_same_bytes_and_leaves_one_file(stored: Path) -> None:
    first = stored.read_bytes()
    save(ready("sdpoint"), stored, "sdpoint", BACKBONE)
    assert stored.read_bytes() == first
    assert [p.name for p in stored.parent.iterdir()] == [stored.name]


def test_loading_leaves_the_global_random_numbers_alone(stored: Path) -> None:
    before = torch.get_rng_state()
    load(stored)
    assert torch.equal(torch.get_rng_state(), before)


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.999])
def test_a_truncated_file_is_refused(stored: Path, share: float) -> None:
    whole = stored.read_bytes()
    stored.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(MethodError, match=r"model.safetensors is not a readable safetensors file") as error:
        load(stored)
    assert one_line(error)


def test_a_file_of_anything_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.safetensors"
    path.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(MethodError, match="not a readable safetensors file") as error:
        load(path)
    assert one_line(error)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_refused_and_never_runs(tmp_path: Path, zipped: bool) -> None:
    path, touched = tmp_path / "model.pt", tmp_path / "touched"

    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (touched,)

    torch.save(Trap(), path, _use_new_zipfile_serialization=zipped)
    for call in (lambda: load(path), lambda: load_part(sdpoint(), "backbone", path)):
        with pytest.raises(MethodError, match="pickles are never loaded") as error:
            call()
        assert one_line(error)
    assert not touched.exists()
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(MethodError, match="pickles are never loaded"):
        load(path)
    assert not touched.exists()


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(MethodError, match="there is no weights file") as error:
            load(path)
        assert one_line(error)


def test_weights_without_a_description_are_refused_as_a_model(tmp_path: Path) -> None:
    path = tmp_path / "bare.safetensors"
    save_file(snapshot(sdpoint()), path)
    with pytest.raises(MethodError, match="no model description") as error:
        load(path)
    assert one_line(error)


def rewritten(path: Path, **changes: Any) -> Path:
    """The same file with another description."""
    tensors, metadata = load_tensors(path)
    description = {**json.loads(metadata["model"]), **changes}
    save_tensors(tensors, path, {"model": json.dumps(description)})
    return path


@pytest.mark.parametrize(
    ("changes", "match"),
    [({"method": "sdpiont"}, "unknown method 'sdpiont'; did you mean 'sdpoint'"),
     ({"backbone": "resnet9"}, "unknown backbone"), ({"backbone": "resnet14"}, "do not fit this model"),
     ({"backbone": "resnet8"}, "do not fit this model"), ({"classes": 7}, "do not fit this model"),
     ({"settings": {"colour": 1}}, "does not know"), ({"settings": {"ratios": [2.0]}}, "does not know"),
     ({"settings": {"ratios": [0.25]}, "points": []}, "statistics for 'p"),
     ({"points": [{"name": "x"}]}, "does not know"),
     ({"points": [{"name": "x", "router": {"kind": "threshold", "signal": "entropy", "cascade": [0, 1],
                                          "thresholds": []}}]}, "a threshold for each but the last"),
     ({"image_shape": [3, 32]}, "does not know"), ({"extra": 1}, "does not know")],
)  # fmt: skip
def test_a_description_that_does_not_fit_its_weights_is_one_line(
    stored: Path, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(MethodError, match=match) as error:
        load(rewritten(stored, **changes))
    assert one_line(error)


def test_a_description_that_is_not_json_is_one_line(stored: Path) -> None:
    save_tensors(load_tensors(stored)[0], stored, {"model": "{"})
    with pytest.raises(MethodError, match="does not know") as error:
        load(stored)
    assert one_line(error)


def test_statistics_of_other_ratios_do_not_fit_and_say_so() -> None:
    tensors = ready("sdpoint", ratios="0.5,0.75").tensors()
    with pytest.raises(MethodError, match=r"statistics for 'p\d_r0.5', which this one does not know") as error:
        sdpoint(ratios="0.25,0.75").load_tensors(tensors)
    assert one_line(error)


def test_an_instance_without_stored_statistics_raises_when_it_is_used_and_never_falls_back() -> None:
    model = sdpoint(ratios="0.5,0.75")
    model.load_tensors(ready("sdpoint", ratios="0.5").tensors())
    model.trace(images(2), ["p1_r0.5", "full"])
    with pytest.raises(MethodError, match=r"no batch-norm statistics for 'p1_r0.75': collect them first") as error:
        model.trace(images(2), ["p1_r0.75"])
    assert one_line(error)


def test_weights_of_another_network_do_not_fit_and_name_an_example() -> None:
    with pytest.raises(MethodError, match=r"missing, .* foreign, for example 'backbone.blocks") as error:
        sdpoint("resnet14:width=4").load_tensors(sdpoint("resnet8:width=4").tensors())
    assert one_line(error)
    with pytest.raises(MethodError, match=r"is \[4, 3, 3, 3\], expected \[8, 3, 3, 3\]"):
        sdpoint("resnet8:width=8").load_tensors(sdpoint("resnet8:width=4").tensors())


# Backbones ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bare", [True, False])
def test_a_backbone_starts_from_a_stored_model_or_from_bare_weights(tmp_path: Path, bare: bool) -> None:
    plain, path = ready("plain"), tmp_path / "w.safetensors"
    if bare:
        save_tensors(plain.backbone.state_dict(), path, {})
    else:
        save(plain, path, "plain", BACKBONE)
    model = earlyexit(init=str(path))
    heads = snapshot(model.heads)
    load_part(model, "backbone", path)
    assert same(snapshot(model.backbone), snapshot(plain.backbone))
    assert same(snapshot(model.heads), heads)


def test_a_backbone_that_does_not_fit_is_named_with_its_file_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save(ready("plain", "resnet14:width=4"), path, "plain", "resnet14:width=4")
    model = earlyexit()
    before = snapshot(model)
    with pytest.raises(MethodError, match=r"w.safetensors: the weights do not fit") as error:
        load_part(model, "backbone", path)
    assert one_line(error)
    assert same(snapshot(model), before)


# Writing ------------------------------------------------------------------------------------------


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_half_written(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored.read_bytes()

    def full(handle: int) -> None:
        assert len(list(stored.parent.iterdir())) == 2
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(ready("sdpoint"), stored, "sdpoint", BACKBONE)
    assert stored.read_bytes() == before
    assert [p.name for p in stored.parent.iterdir()] == [stored.name]


def test_a_folder_that_does_not_exist_is_an_operating_system_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        save(ready("plain"), tmp_path / "none" / "m.safetensors", "plain", BACKBONE)
