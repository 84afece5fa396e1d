"""The papers: what registries name is there, complete, and found for methods and backbones."""

import re
from dataclasses import replace

import pytest

from methods import references
from methods.registry import Entry, entries

REQUIRED = {"inproceedings": {"author", "title", "booktitle", "year"}, "misc": {"author", "title", "year", "eprint"}}


def test_every_paper_has_the_fields_that_its_kind_requires() -> None:
    for paper in references.papers().values():
        assert REQUIRED[paper.kind] <= set(paper.fields), paper.key
        assert re.fullmatch(r"(19|20)\d\d", paper.fields["year"])
        assert paper.key.startswith(paper.fields["author"].partition(",")[0].lower())


def test_the_reader_misses_no_entry_and_no_field_of_the_file() -> None:
    text = (references.FOLDER / "references.bib").read_text(encoding="utf-8")
    found = references.papers().values()
    assert len(found) == text.count("\n@")
    assert sum(len(paper.fields) for paper in found) == text.count(" = {")
    assert all(paper.text in text and paper.text.count("{") == paper.text.count("}") for paper in found)


def test_every_method_names_papers_that_are_there_and_quotes_their_arxiv_number() -> None:
    for entry in entries().values():
        papers = references.of_method(entry)
        assert tuple(paper.key for paper in papers) == entry.references
        assert [p.fields["eprint"] for p in papers] == re.findall(r"arXiv:([\d.]+\d)", entry.citation)


def test_no_paper_is_without_a_method_or_backbone_that_it_is_about() -> None:
    backbones = (
        "resnet8", "preresnet8", "wrn-10-1", "resnext11-4x8d", "densenet-bc-22-12", "mobilenet_v2", "googlenet",
        "alexnet",
    )  # fmt: skip
    used = {key for entry in entries().values() for key in entry.references}
    used |= {paper.key for name in backbones for paper in references.of_backbone(name)}
    assert used == set(references.papers())


@pytest.mark.parametrize(
    ("backbone", "keys"),
    [
        ("resnet14", ["he2016deep"]), ("resnet14:width=32", ["he2016deep"]), ("resnet50", ["he2016deep"]),
        ("wrn-16-4", ["zagoruyko2016wide"]), ("wide_resnet50_2", ["zagoruyko2016wide"]),
        ("densenet-bc-40-12", ["huang2017densely"]), ("mynet.py:net", []), ("", []), ("resnet15", []),
    ],
)  # fmt: skip
def test_a_backbone_is_cited_by_its_family(backbone: str, keys: list[str]) -> None:
    assert [paper.key for paper in references.of_backbone(backbone)] == keys


def test_a_plugins_entry_may_lack_version_and_papers_and_its_own_keys_are_left_out() -> None:
    plugin = Entry("mine", "file:Mine", "Mine", "depth", "static", "me", ())
    assert (plugin.version, plugin.references) == (1, ())
    assert references.of_method(replace(plugin, references=("mine2026", "he2016deep")))[0].key == "he2016deep"
