"""BibTeX of the suite and of results, and that CITATION.cff is valid and true."""

import re
import tomllib
from pathlib import Path

import jsonschema
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reports.paper.citing import bibtex, result, software

HOUSE = Path(__file__).parents[2]
CITATION = (HOUSE / "CITATION.cff").read_text(encoding="utf-8")
ABOUT = {
    "method": "sdpoint:bn=uniform", "backbone": "resnet14", "dataset": "digits", "fingerprint": "ab" * 32,
    "protocol": "1", "tier": "reproduced", "date": "2026-11-02", "suite": "0.1.0", "version": "2",
}  # fmt: skip
TEXT = {"type": "string", "minLength": 1}
CFF = {
    "type": "object",
    "required": ["cff-version", "message", "title", "authors"],
    "additionalProperties": False,
    "properties": {
        "cff-version": {"const": "1.2.0"},
        "message": TEXT,
        "title": TEXT,
        "abstract": TEXT,
        "license": {"const": "Apache-2.0"},
        "type": {"enum": ["software", "dataset"]},
        "version": TEXT,
        "date-released": {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        "keywords": {"type": "array", "minItems": 1, "uniqueItems": True, "items": TEXT},
        "authors": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": False,
                "properties": {"name": TEXT},
            },
        },
    },
}
"""What CFF 1.2.0 asks of the fields that the file has."""


def fields(text: str) -> dict[str, str]:
    return dict(re.findall(r"^  (\w+) = \{(.*)\},$", text, re.MULTILINE))


def test_citation_cff_is_valid() -> None:
    found = yaml.load(CITATION, yaml.BaseLoader)  # all scalars as text, as CFF means them
    jsonschema.validate(found, CFF)


def test_citation_cff_speaks_of_the_project_as_it_is() -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = yaml.load(CITATION, yaml.BaseLoader)
    assert (found["version"], found["license"]) == (project["version"], project["license"])


def test_the_suite_is_cited_as_software_of_this_version_and_year() -> None:
    found, text = yaml.load(CITATION, yaml.BaseLoader), software(CITATION)
    said = fields(text)
    assert text.startswith(f"@software{{cost-adjustable-inference-benchmark-{found['version']},\n")
    assert said["author"] == "{The cost-adjustable inference benchmark authors}"
    assert said["title"] == "{" + found["title"] + "}"
    assert (said["version"], said["year"]) == (found["version"], found["date-released"][:4])


def test_a_result_says_what_was_measured_on_what_when_and_by_which_suite() -> None:
    text = result("digits-resnet14-sdpoint-p1-0a1b", ABOUT)
    said = fields(text)
    assert text.startswith("@misc{digits-resnet14-sdpoint-p1-0a1b,\n")
    assert "sdpoint:bn=uniform on digits, resnet14" in said["title"]
    assert "suite version 0.1.0" in said["howpublished"]
    assert (said["year"], said["date"]) == ("2026", "2026-11-02")
    assert all(part in said["note"] for part in ("digits", "abababababab", "method version 2", "reproduced"))


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_a_method_or_data_set_is_called_the_entry_stays_one_entry(method: str, dataset: str) -> None:
    text = result("k", ABOUT | {"method": method, "dataset": dataset})
    assert text.count("{") == text.count("}")
    assert len(text.splitlines()) == len(result("k", ABOUT).splitlines())
    assert re.fullmatch(r"@misc\{k,\n(  \w+ = \{.*\},\n)+\}", text)


def test_a_key_keeps_letters_digits_dots_and_hyphens() -> None:
    assert bibtex("misc", "Sdpoint bn=uniform, {x}", {}) == "@misc{sdpoint-bn-uniform-x,\n}"
