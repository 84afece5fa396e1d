"""What executes a point: compared with eager before it is timed, and refused in one line where it cannot be had."""

import shutil
from pathlib import Path

import pytest
import torch
from measured import cascade, images, measured, static
from torch import Tensor

from benchmarks.backends import Prepared, Unsupported, prepare, preparing
from benchmarks.backends.compiled import _own_code
from benchmarks.backends.frozen import freeze
from methods.errors import MethodError
from methods.registry import create, parse_settings
from methods.running import Routed


@pytest.fixture
def bfloat16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that says it has bfloat16; torch emulates it where that is not so."""
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx512_bf16\n")
    monkeypatch.setattr(preparing, "CPUINFO", tmp_path / "cpuinfo")


def refused(*arguments: object) -> str:
    """The one line with which `prepare` refuses."""
    with pytest.raises(Unsupported) as caught:
        prepare(*arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_eager_is_the_model_itself() -> None:
    model, x = measured("earlyexit"), images(6)
    point = cascade(model, 0.3)
    prepared = prepare(model, point, "eager", "float32", x)
    with torch.no_grad():
        assert torch.equal(prepared.run(x), model.execute(x, point.router).logits)
    assert prepared.error < 1e-6


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("method", ["sdpoint", "earlyexit"])
def test_bfloat16_runs_on_a_copy(method: str) -> None:
    model, x = measured(method), images(8)
    before = {name: value.clone() for name, value in model.tensors().items()}
    points = [static(model, answer) for answer in range(len(model.graph.names))]
    for point in (*points, *([cascade(model, 0.3)] * (method == "earlyexit"))):
        prepared = prepare(model, point, "eager", "bfloat16", x)
        assert 0 < prepared.error < 0.05
        assert prepared.run(x).dtype == torch.float32
    after = model.tensors()
    assert all(torch.equal(before[name], after[name]) and after[name].dtype == before[name].dtype for name in before)


def test_bfloat16_is_refused_where_the_machine_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = measured()
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx2\n")
    for name in ("cpuinfo", "absent"):
        monkeypatch.setattr(preparing, "CPUINFO", tmp_path / name)
        assert "no bfloat16" in refused(model, static(model), "eager", "bfloat16", images(1))


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="torch.compile needs a C++ compiler")
def test_compiled_is_eager_and_leaves_the_compiler_as_it_was() -> None:
    from torch._inductor import config

    model, x = measured("sdpoint"), images(2)
    prepared = prepare(model, static(model, 0), "compile", "float32", x)
    assert prepared.error < 1e-5
    assert not config.freezing
    with torch.no_grad():
        expected = model.execute(x, static(model, 0).router).logits
        torch.testing.assert_close(prepared.run(x), expected, atol=1e-5, rtol=1e-5)
    for other in (x[:1], x.contiguous()):
        with pytest.raises(ValueError, match="prepared for tensors of"):
            prepared.run(other)


def test_every_compiled_path_has_code_of_its_own() -> None:
    """torch.compile gives up after eight results for one piece of code; a model has more points."""
    model = measured()
    path = freeze(model, static(model), torch.float32, images(1))
    one, other = _own_code(path), _own_code(path)
    assert one.__code__ is not other.__code__
    assert torch.equal(one(images(1)), path(images(1)))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.usefixtures("bfloat16")
def test_per_sample_points_are_not_compiled(precision: str) -> None:
    model = measured("earlyexit")
    assert "per-sample points run in eager only" in refused(model, cascade(model, 0.3), "compile", precision, images(1))


def replaced(monkeypatch: pytest.MonkeyPatch, change: Tensor | Exception) -> str:
    """What is said of a backend that adds `change` to the logits, or raises it."""
    model = measured()

    def backend(model: object, point: object, dtype: object, inputs: Tensor) -> object:
        def execute(x: Tensor) -> Routed:
            if isinstance(change, Exception):
                raise change
            routed = measured().execute(x, static(measured()).router)
            return Routed(routed.logits + change, routed.answer)

        return execute

    monkeypatch.setitem(preparing.TABLE, "eager", backend)
    return refused(model, static(model), "eager", "float32", images(2))


def test_what_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "computes something else" in replaced(monkeypatch, torch.tensor(1.0))


def test_what_is_not_a_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "computes something else" in replaced(monkeypatch, torch.tensor(float("nan")))


def test_a_backend_that_fails_is_refused_with_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    said = replaced(monkeypatch, RuntimeError("\nno C++ compiler found\nlong advice\n"))
    assert said == "eager in float32 fails: RuntimeError: no C++ compiler found"


def test_running_out_of_memory_is_the_machines_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        replaced(monkeypatch, RuntimeError("out of memory"))


def test_a_model_without_statistics_is_the_users_failure() -> None:
    model = create("dynres", parse_settings("dynres", {}), "resnet8:width=4", 10, (3, 16, 16), seed=0)
    model.collect_statistics([images(4)])
    next(iter(model.backbone.get_submodule("stem.1.norms").children())).statistics.clear()  # type: ignore[union-attr,operator]
    with pytest.raises(MethodError, match="collect them first"):
        prepare(model, static(model, 0), "eager", "float32", images(2))


def test_prepared_is_data() -> None:
    prepared = Prepared(lambda x: x, 0.0)
    with pytest.raises(AttributeError):
        prepared.error = 1.0  # type: ignore[misc]
