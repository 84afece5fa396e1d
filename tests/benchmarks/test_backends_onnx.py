"""Static points in ONNX Runtime: the path alone, batch norms folded, nothing left behind."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from measured import cascade, images, measured, static

from benchmarks.backends import Unsupported, onnxruntime, prepare
from benchmarks.backends.frozen import freeze
from benchmarks.backends.onnxruntime import exported, options

REASON = 'needs pip install -e ".[onnx]"'
onnx = pytest.importorskip("onnx", reason=REASON)
runtime = pytest.importorskip("onnxruntime", reason=REASON)
pytest.importorskip("onnxscript", reason=REASON)


@pytest.mark.parametrize(
    ("method", "answer"),
    [("sdpoint", 1), ("dynres", 0)],
    ids=["maps pooled by 0.75", "antialiased resizing, private batch norms"],
)
def test_a_static_point_is_eager_and_leaves_nothing_behind(
    method: str, answer: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model, x = measured(method), images(2)
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    prepared = prepare(model, static(model, answer), "onnx", "float32", x)
    assert prepared.error < 1e-5
    with torch.no_grad():
        expected = model.execute(x, static(model, answer).router).logits
    torch.testing.assert_close(prepared.run(x), expected, atol=1e-5, rtol=1e-5)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_the_optimised_graph_is_the_path_alone_without_batch_norms(tmp_path: Path) -> None:
    """Exit 1 runs the stem, two convolutions of the first block, the one of its head, and a linear layer."""
    model, x = measured("earlyexit"), images(1)
    chosen = options()
    chosen.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    graph = exported(freeze(model, static(model, 0), torch.float32, x), x)
    runtime.InferenceSession(graph, chosen, providers=["CPUExecutionProvider"])
    ran = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert (ran["Conv"] + ran["FusedConv"], ran["Gemm"], ran["BatchNormalization"]) == (1 + 2 + 1, 1, 0)
    stored = onnx.load_from_string(graph).graph.initializer
    assert sum(tensor.dims[0] == 10 for tensor in stored) == 2  # weight and bias of one classifier, not of three


def test_sessions_use_the_threads_of_torch() -> None:
    assert options().intra_op_num_threads == torch.get_num_threads()


def test_per_sample_points_and_bfloat16_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.backends import preparing

    model = measured("earlyexit")
    with pytest.raises(Unsupported, match="per-sample points run in eager only"):
        prepare(model, cascade(model, 0.3), "onnx", "float32", images(1))
    monkeypatch.setattr(preparing, "has_bfloat16", lambda device: True)
    with pytest.raises(Unsupported, match="in float32 on the CPU only"):
        prepare(model, static(model), "onnx", "bfloat16", images(1))


def test_a_missing_extra_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = measured()
    monkeypatch.setattr(onnxruntime, "NEEDED", ("onnx", "no_such_package"))
    with pytest.raises(Unsupported, match=r'^no_such_package is not installed: pip install -e "\.\[onnx\]"$'):
        prepare(model, static(model), "onnx", "float32", images(1))
