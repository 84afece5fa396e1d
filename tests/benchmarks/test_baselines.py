"""The committed baseline of exact costs: it is what the code costs, and nothing can differ from it unseen."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from benchmarks import cli
from benchmarks.baseline import committed, counting
from benchmarks.baseline.committed import (
    FOLDER,
    Difference,
    Figure,
    Figures,
    Settled,
    Subject,
    differences,
    lines,
    read,
    settled,
    write,
)
from benchmarks.baseline.counting import counted, figures_of
from benchmarks.config import MethodSpec
from benchmarks.core.errors import UsageError
from benchmarks.core.progress import drive
from methods.errors import MethodError
from methods.registry import create, entries, parse_settings

OF = settled()
TINY = Subject("resnet8:width=4", 10, (3, 8, 8))
FIGURES = st.builds(
    Figure, st.sampled_from(["plain", "sdpoint"]), st.sampled_from(["parameters", "answer_macs"]),
    st.sampled_from(["", "full", "p1_r0.5", 'odd, "name"']),
)  # fmt: skip
BASELINES = st.dictionaries(FIGURES, st.integers(0, 2**62))


def figures(method: str, parameters: int, **answers: int) -> Figures:
    macs = {Figure(method, "answer_macs", name): value for name, value in answers.items()}
    return {Figure(method, "parameters"): parameters, **macs}


def told(committed: Figures, now: Figures, **refused: str) -> list[str]:
    return lines(differences(committed, now), refused)


@pytest.mark.parametrize("subject", [s for s in OF.subjects if s.image_shape[1] == 32], ids=lambda s: s.backbone)
def test_methods_cost_on_small_images_what_is_committed(subject: Subject) -> None:
    now = drive(counted(subject, OF.methods))
    assert lines(differences(read(FOLDER / subject.file), now.figures), now.refused) == []


@pytest.mark.parametrize("subject", OF.subjects, ids=lambda s: s.backbone)
def test_every_method_of_the_suite_has_costs_on_every_backbone(subject: Subject) -> None:
    assert set(entries()) <= {figure.method for figure in read(FOLDER / subject.file)}


def test_no_committed_file_is_left_unchecked() -> None:
    assert committed.foreign(FOLDER, OF.subjects) == []


def test_the_costs_of_resnet20_and_resnet50_are_the_known_ones() -> None:
    full = Figure("plain", "answer_macs", "full")
    assert read(FOLDER / "resnet20.csv")[full] == 40_813_184
    assert read(FOLDER / "resnet50.csv")[full] == 4_089_184_256


@pytest.mark.parametrize("method", OF.methods, ids=str)
def test_stored_bytes_are_those_of_the_model_with_its_statistics(method: MethodSpec) -> None:
    backbone, classes, shape = TINY
    model = create(method.name, parse_settings(method.name, method.settings), backbone, classes, shape, seed=0)
    before = figures_of(model, "it")[Figure("it", "storage_bytes")]
    model.collect_statistics([torch.zeros(2, *shape)])
    assert before == sum(t.numel() * t.element_size() for t in model.tensors().values())


def test_stored_bytes_are_those_of_the_model_whatever_the_kind_of_its_norms() -> None:
    backbone, classes, shape = TINY
    model = create("sdpoint", parse_settings("sdpoint", {}), backbone, classes, shape, seed=0)
    before = figures_of(model, "it")[Figure("it", "storage_bytes")]
    assert figures_of(nn.SyncBatchNorm.convert_sync_batchnorm(model), "it")[Figure("it", "storage_bytes")] == before


def test_uniform_statistics_are_stored_once() -> None:
    methods = [MethodSpec.parse(name) for name in ("plain", "sdpoint", "sdpoint:bn=uniform")]
    now = drive(counted(TINY, methods)).figures
    stored = {method: now[Figure(method, "storage_bytes")] for method in ("plain", "sdpoint", "sdpoint:bn=uniform")}
    assert stored["sdpoint:bn=uniform"] < stored["plain"] < stored["sdpoint"]


def test_a_probe_is_no_answer() -> None:
    now = drive(counted(TINY, [MethodSpec.parse("dynres")])).figures
    assert [figure.output for figure in now if figure.quantity == "probe_macs"] == ["predictor"]


def test_a_method_refused_on_a_backbone_is_left_out_with_its_reason() -> None:
    methods = [MethodSpec.parse(name) for name in ("plain", "earlyexit:heads=sdpoint-paper")]
    now = drive(counted(TINY._replace(backbone="densenet-bc-22-12"), methods))
    assert {figure.method for figure in now.figures} == {"plain"}
    assert "differ in width" in now.refused["earlyexit:heads=sdpoint-paper"]


@pytest.mark.parametrize("wrong", [("plain", "resnet9000x"), ("sdpoint:evry=2", "resnet8"), ("sdpont", "resnet8")])
def test_what_does_not_exist_is_an_error_and_no_refusal(wrong: tuple[str, str]) -> None:
    method, backbone = wrong
    with pytest.raises(MethodError):
        drive(counted(TINY._replace(backbone=backbone), [MethodSpec.parse(method)]))


@given(committed=BASELINES, now=BASELINES)
def test_differences_lead_from_the_committed_to_the_counted_figures(committed: Figures, now: Figures) -> None:
    changed = dict(committed)
    for figure, before, after in differences(committed, now):
        assert changed.pop(figure, None) == before
        assert before != after
        changed |= {} if after is None else {figure: after}
    assert changed == now


@given(BASELINES)
def test_equal_figures_do_not_differ(same: Figures) -> None:
    assert differences(same, dict(reversed(same.items()))) == []


def test_a_changed_cost_is_named_with_its_change_and_the_others_are_not() -> None:
    assert told(figures("plain", 100, half=50, full=80), figures("plain", 101, half=50, full=72)) == [
        "plain",
        "  parameters        100 -> 101  +1 (+1.00%)",
        "  answer_macs full   80 ->  72  -8 (-10.00%)",
    ]


def test_a_single_multiplication_more_is_a_difference() -> None:
    assert told(figures("plain", 4_089_184_256), figures("plain", 4_089_184_257))[1].endswith("  +1 (below 0.01%)")


def test_an_answer_that_came_or_went_is_a_difference() -> None:
    found = differences(figures("plain", 100, half=1_500), figures("plain", 100, whole=3_000))
    half, whole = (Figure("plain", "answer_macs", name) for name in ("half", "whole"))
    assert found == [Difference(half, 1500, None), Difference(whole, None, 3000)]
    assert lines(found, {})[1:] == [
        "  answer_macs half   1,500 ->  none  gone",
        "  answer_macs whole   none -> 3,000  new",
    ]


def test_a_cost_that_was_nothing_has_no_change_in_percent() -> None:
    assert told(figures("plain", 0), figures("plain", 7)) == ["plain", "  parameters  0 -> 7  +7"]


def test_a_method_that_came_or_went_is_one_line() -> None:
    assert told({}, figures("plain", 9, full=1)) == ["plain", "  not in the baseline: 2 figures"]
    gone = figures("plain", 9, full=1)
    assert told(gone, {}) == ["plain", "  not counted any more: 2 figures; it is not asked for"]
    assert told(gone, {}, plain="too small") == ["plain", "  not counted any more: 2 figures; too small"]


def test_differences_of_a_method_stand_together() -> None:
    committed = figures("plain", 1, full=1) | figures("sdpoint", 1, full=1)
    found = differences(committed, figures("plain", 2, new=1) | figures("sdpoint", 2, full=1))
    assert [difference.figure.method for difference in found] == ["plain"] * 3 + ["sdpoint"]


@given(BASELINES)
def test_a_baseline_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, kept: Figures) -> None:
    path = tmp_path_factory.getbasetemp() / "kept.csv"
    write(kept, path)
    assert list(read(path).items()) == list(kept.items())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no baseline"),
        (b"", "begin with"),
        (b"method,value\nplain,1\n", "begin with"),
        (b"method,quantity,output,value\nplain,parameters,1\n", "line 2"),
        (b"method,quantity,output,value\nplain,parameters,,1.5\n", "line 2"),
        (b"method,quantity,output,value\nplain,parameters,,\n", "line 2"),
        (b"method,quantity,output,value\nplain,parameters,,1\nplain,parameters,,1\n", "line 3 says parameters"),
        (b"<<<<<<< HEAD\nmethod,quantity,output,value\n", "begin with"),
        (b'method,quantity,output,value\nplain,"parameters,,1\n', "cannot be read"),
        (b"method,quantity,output,value\nplain,parameters,\xff,1\n", "cannot be read"),
    ],
)
def test_a_missing_or_unreadable_baseline_is_an_error(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "resnet20.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=reason) as error:
        read(path)
    assert "baseline update" in str(error.value)


class Verb:
    """`python -m benchmarks baseline` on two methods of a tiny network, with a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self.monkeypatch, self.capsys = folder / TINY.file, monkeypatch, capsys
        of = Settled((TINY,), (MethodSpec.parse("plain"), MethodSpec.parse("earlyexit")))
        monkeypatch.setattr(committed, "FOLDER", folder)
        monkeypatch.setattr(committed, "settled", lambda: of)

    def __call__(self, action: str) -> tuple[object, str]:
        """The exit status, and all that was printed."""
        self.monkeypatch.setattr(sys, "argv", ["benchmarks", "baseline", action])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        written = self.capsys.readouterr()
        return stopped.value.code, written.out + written.err


@pytest.fixture
def verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verb:
    return Verb(tmp_path / "baselines", monkeypatch, capsys)


def test_check_passes_right_after_update(verb: Verb) -> None:
    status, text = verb("update")
    assert (status, "not in the baseline" in text) == (0, True)
    status, text = verb("check")
    assert (status, "all as committed" in text) == (0, True)


def test_check_fails_on_a_difference_that_update_takes_over(verb: Verb) -> None:
    verb("update")
    right = verb.file.read_text()
    verb.file.write_text(right.replace("earlyexit,parameters,,", "earlyexit,parameters,,1"))
    status, text = verb("check")
    assert status == 1
    assert "earlyexit\n  parameters" in text
    assert "figures that differ" in text
    assert verb("update")[0] == 0
    assert verb.file.read_text() == right


def test_check_without_a_readable_baseline_exits_2_before_counting(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "counted", lambda *_: pytest.fail("it began to count"))
    assert verb("check")[0] == 2
    verb.file.parent.mkdir()
    verb.file.write_text("nothing")
    status, text = verb("check")
    assert (status, text.count("\n")) == (2, 1)


def test_update_replaces_what_is_unreadable(verb: Verb) -> None:
    verb("update")
    right = verb.file.read_text()
    verb.file.write_text("nothing")
    assert verb("update")[0] == 0
    assert verb.file.read_text() == right


def test_a_file_of_no_backbone_is_an_error_and_update_deletes_it(verb: Verb) -> None:
    verb("update")
    stray = verb.file.with_name("resnet9.csv")
    stray.write_text(verb.file.read_text())
    status, text = verb("check")
    assert (status, "resnet9.csv is of no backbone" in text) == (2, True)
    verb("update")
    assert not stray.exists()
    assert verb("check")[0] == 0
