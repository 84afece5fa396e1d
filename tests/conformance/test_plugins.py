"""Methods of a user's: from a file, from an installed package, in a run, stored and loaded again."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.config import RunConfig, configure
from benchmarks.conformance.subject import World, unrecorded, world
from benchmarks.core.errors import UsageError
from benchmarks.plan import prepare
from benchmarks.trainings import Trainings
from methods import plugins, registry
from methods.base import AdjustableModel
from methods.errors import MethodError
from methods.registry import added, create, entries, installed, method_class, parse_settings
from methods.storage import load
from methods.userfiles import forgotten

SOUND = """
from methods.plain import Plain

class Twin(Plain):
    title, axis, decision, citation = "A twin of plain", "none", "static", "nobody"
"""
NETWORK = """
import torch
import torch.utils.flop_counter

@torch.library.custom_op("users::NAME", mutates_args=())
def double(x: torch.Tensor) -> torch.Tensor:
    return 2 * x

@torch.utils.flop_counter.register_flop_formula(torch.ops.users.NAME)
def flops(x_shape, **_):
    return 0

class Net(torch.nn.Linear):
    def forward(self, images):
        return double(super().forward(images.mean((2, 3))))

NET = Net(3, 10)

def make():
    return NET
"""


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test adds is not there for others."""
    before = added()
    yield
    registry._ADDED.clear()
    registry._ADDED.update(before)


def written(folder: Path, text: str = SOUND, name: str = "twin.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def run(folder: Path, plugin: Path) -> World:
    """Train the plugin's method for an epoch."""
    asked = {"methods": "twin", "dataset": "digits", "backbone": "resnet8:width=2", "epochs": 1, "threads": 1}
    return world(configure({**asked, "plugin": [plugin], "latency": "off"}), folder)


def test_a_file_says_what_the_registry_says(tmp_path: Path) -> None:
    (entry,) = plugins.add(written(tmp_path))
    assert (entry.name, entry.title, entry.axis, entry.decision, entry.citation, entry.options) == (
        "twin", "A twin of plain", "none", "static", "nobody", ("size=None",),
    )  # fmt: skip
    assert method_class("twin").__name__ == "Twin"
    assert "twin" not in entries()


def test_several_classes_are_several_methods_and_a_name_of_their_own_counts(tmp_path: Path) -> None:
    text = SOUND + "\n\nclass Other(Twin):\n    name = 'second'\n\n\nclass _Hidden(Twin):\n    pass\n"
    assert [entry.name for entry in plugins.add(written(tmp_path, text))] == ["twin", "second"]


def test_a_file_is_imported_once_and_again_where_it_has_changed(tmp_path: Path) -> None:
    texts = [SOUND + "    class Settings(Plain.Settings):\n        depth: int = 1\n", SOUND]
    first, again, other, back = (_class(written(tmp_path, text)) for text in (texts[0], *texts, texts[0]))
    assert first is again is back is not other
    assert first.Settings() == again.Settings()
    assert _class(tmp_path / ".." / tmp_path.name / "twin.py") is back


def _class(path: Path) -> type[AdjustableModel]:
    plugins.add(path)
    return method_class("twin")


def test_inside_forgotten_a_file_is_imported_anew_and_afterwards_it_is_what_it_was(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = _class(path)
    with forgotten():
        inside = _class(path)
        assert _class(path) is inside is not before
    assert _class(path) is before is method_class("twin")


def test_a_network_of_the_users_is_made_by_a_file_that_runs_once(tmp_path: Path) -> None:
    file = written(tmp_path, NETWORK.replace("NAME", tmp_path.name.replace("-", "_")), "net.py")
    one, two = (
        create("netselect", parse_settings("netselect", {"networks": f"{file}:make"}), "resnet8", 10, (3, 8, 8), 0)
        for _ in range(2)
    )
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(one.get_submodule("networks.0")(images), two.get_submodule("networks.0")(images))
    assert not {id(p) for p in one.parameters()} & {id(p) for p in two.parameters()}


def test_a_changed_file_replaces_its_methods(tmp_path: Path) -> None:
    plugins.add(written(tmp_path, SOUND + "\n\nclass Gone(Twin):\n    pass\n"))
    before = plugins.digest("twin")
    plugins.add(written(tmp_path, SOUND.replace("A twin of plain", "Another")))
    assert added()["twin"].title == method_class("twin").title == "Another"  # type: ignore[attr-defined]
    assert plugins.digest("twin") != before
    assert "gone" not in added()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere", "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
        ("def f(:", ", line 1, cannot be imported: SyntaxError"),
        ("from methods.plain import Plain", "holds no method: no class of it derives from"),
        (SOUND.replace('"nobody"', "None"), "the class Twin does not say its citation"),
        (SOUND.replace('"static"', '"sometimes"'), "the decision of Twin is static or per-sample, not 'sometimes'"),
        (SOUND.replace("Twin", "SDPoint"), "'sdpoint' is a method of the suite: give your class a `name` of its own"),
        (SOUND + "    name = 'two words'", "the name of Twin has to be one word"),
    ],
    ids=["import", "exit", "syntax", "no class", "no citation", "decision", "clash", "name"],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MethodError) as raised:
        plugins.add(written(tmp_path, text))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert str(tmp_path / "twin.py") in str(raised.value)
    assert not added().keys() & {"twin", "sdpoint"}


def test_a_missing_file_and_two_files_with_one_name_are_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match=r"cannot read the plugin .*: No such file"):
        plugins.add(tmp_path / "none.py")
    plugins.add(written(tmp_path))
    with pytest.raises(MethodError, match="'twin' is a method of another plugin"):
        plugins.add(written(tmp_path, SOUND, "copy.py"))


def test_a_run_trains_a_plugin_and_its_stored_model_needs_the_file(tmp_path: Path) -> None:
    plugin = written(tmp_path)
    done = run(tmp_path / "run", plugin)
    model = load(done.result.model)
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model(images).logits
    registry._ADDED.clear()
    with pytest.raises(MethodError) as raised:
        load(done.result.model)
    assert "unknown method 'twin'" in str(raised.value)
    assert "needs --plugin FILE.py" in str(raised.value)
    plugins.add(plugin)
    with torch.no_grad():
        assert torch.equal(load(done.result.model)(images).logits, logits)


def test_a_changed_file_has_other_trainings_and_leaves_those_of_others_alone(tmp_path: Path) -> None:
    keys = []
    for text in (SOUND, SOUND, SOUND + "# changed\n"):
        done = run(tmp_path / str(len(keys)), written(tmp_path, text))
        trainings = Trainings(done.plan, unrecorded)
        keys.append([trainings.weights(candidate, 0).key for candidate in done.plan.candidates])
    (plain, twin), again, (other_plain, other_twin) = keys
    assert again == [plain, twin]
    assert plain == other_plain
    assert twin != other_twin


def test_a_configuration_file_names_plugins_and_no_folder_is_recorded(tmp_path: Path) -> None:
    plugin = written(tmp_path)
    file = written(tmp_path, f'plugin = ["{plugin}"]\nmethods = ["twin"]\ndataset = "digits"\n', "study.toml")
    with pytest.raises(UsageError, match=r"study\.toml names .*twin\.py, which would be executed: .* --trust"):
        configure({}, file)
    assert configure({"plugin": [plugin]}, file).plugin == (plugin,)
    config = configure({}, file, trust=True)
    assert config.plugin == (plugin,)
    assert prepare(config).candidates[-1].name == "twin"
    assert json.loads(config.model_dump_json())["plugin"] == ["twin.py"]
    with pytest.raises(UsageError, match="unknown setting 'plugins'; did you mean 'plugin'"):
        configure({"plugins": [plugin]})
    assert RunConfig().plugin == ()


def package(folder: Path, module: str, value: str, text: str = SOUND) -> None:
    """An installed package, as pip leaves it, that offers a method by an entry point."""
    (folder / f"{module}.py").write_text(text)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{value}\n")


def test_an_installed_package_offers_its_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "packaged_method", "packagedtwin = packaged_method:Twin")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert installed()["packagedtwin"] == "packaged_method:Twin"
    assert "packaged_method" not in sys.modules
    assert method_class("packagedtwin").__name__ == "Twin"
    first = plugins.digest("packagedtwin")
    assert len(first) == 64
    assert plugins.digest("sdpoint") == ""


def test_a_package_does_not_take_a_name_of_the_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "taking_method", "sdpoint = taking_method:Twin")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "sdpoint" not in installed()
    assert method_class("sdpoint").__name__ == "SDPoint"


@pytest.mark.parametrize(
    ("text", "message"),
    [("import nowhere", "cannot be imported from broken_method:Twin: ModuleNot"), ("Twin = 1", "is no class of")],
)  # fmt: skip
def test_a_broken_package_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    package(tmp_path, "broken_method", "brokentwin = broken_method:Twin", text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "broken_method", raising=False)
    with pytest.raises(MethodError, match=message) as raised:
        method_class("brokentwin")
    assert "\n" not in str(raised.value)


def test_listing_names_installed_methods_without_importing_them(tmp_path: Path) -> None:
    package(tmp_path, "listed_method", "listedtwin = listed_method:Twin", "raise SystemExit('imported')")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "list", "methods"],
        capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        cwd=Path(__file__).parents[2], check=True,
    )  # fmt: skip
    assert "listedtwin        of an installed package: listed_method:Twin" in done.stdout
