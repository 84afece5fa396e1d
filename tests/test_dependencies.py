"""What the project may be installed with: every dependency has a lowest version, and one environment has them all."""

import configparser
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

HOUSE = Path(__file__).parent.parent
PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))


def lowest(bounds: SpecifierSet) -> list[str]:
    """The versions from which on something may be installed."""
    return [bound.version for bound in bounds if bound.operator in (">=", "~=", "==")]


def test_every_dependency_has_a_lower_bound() -> None:
    optional = PROJECT["project"]["optional-dependencies"].values()
    lists = [PROJECT["project"]["dependencies"], *optional, PROJECT["build-system"]["requires"]]
    found = [Requirement(line) for one in lists for line in one]
    others = [one for one in found if one.name != PROJECT["project"]["name"]]
    assert len(others) > 20
    assert not [str(one) for one in others if not lowest(one.specifier)]


def test_the_oldest_environment_takes_the_lowest_versions_from_the_project_itself_on_the_oldest_python() -> None:
    tox = configparser.ConfigParser()
    tox.read(HOUSE / "tox.ini")
    oldest = tox["testenv:oldest"]
    assert oldest["commands_pre"] == 'uv pip install --resolution lowest-direct --editable ".[test]"'
    assert oldest["commands"] == tox["testenv"]["commands"]
    (python,) = lowest(SpecifierSet(PROJECT["project"]["requires-python"]))
    assert oldest["base_python"] == f"py{python.replace('.', '')}"
