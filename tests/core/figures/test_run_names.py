"""Short names of models and edits. `labels.test.js` and `edits.test.js` read the same lists."""

import json
from pathlib import Path
from typing import Any

import pytest

from mhc_core.figures.run_names import NAME_LENGTH, label_sources, shorten_name
from mhc_core.findings.edits import distinguish_edits
from mhc_core.record.source import Model, SpecSource, TraceSource
from mhc_core.spec import EditSpec, RunSpec

NAMES: list[tuple[str, int, str]] = json.loads(
    (Path(__file__).parent.parent.parent / "short_names.json").read_text(encoding="utf-8")
)

EDITS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent.parent / "edit_names.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(("name", "most", "short"), NAMES)
def test_a_long_name_keeps_both_its_ends_or_its_last_part(name: str, most: int, short: str) -> None:
    assert shorten_name(name, most) == short
    assert len(short) <= most


def test_labels_hold_what_figures_have_room_for() -> None:
    long = "sentence-transformers/all-MiniLM-L6-v2-finetuned-on-everything"
    trace = TraceSource(model=Model(name=long, parameters=1), versions={})
    [first, second] = label_sources([trace, trace], {"B": "ours"})
    assert second == "B ours"
    assert len(first) == len("A ") + NAME_LENGTH
    assert first.startswith("A all-MiniLM")
    assert first.endswith("everything")


def test_a_run_of_a_connection_that_is_not_installed_here_has_its_kind_as_label() -> None:
    assert SpecSource(spec={"connection": {"kind": "of_someone_else"}}).label == "of_someone_else"
    assert SpecSource(spec={"connection": {"kind": "identity_hc"}}).label == "Identity HC"


@pytest.mark.parametrize("case", EDITS, ids=lambda case: case["names"][-1])
def test_edits_have_short_names_which_hold_what_distinguishes_runs(case: dict[str, Any]) -> None:
    runs = [[EditSpec.model_validate(edit) for edit in edits] for edits in case["runs"]]
    assert distinguish_edits(runs) == case["names"]


def test_labels_name_edits_where_runs_of_a_connection_differ_in_them() -> None:
    def source(kind: str, *edits: dict[str, Any]) -> SpecSource:
        spec = RunSpec.model_validate({"connection": {"kind": kind}, "edits": edits})
        return SpecSource(spec=spec.canonical())

    cut = {"layers": [19, 19], "what": "stream", "index": 1, "do": "zero"}
    runs = [source("hc", cut), source("mhc"), source("mhc", cut)]
    assert label_sources(runs) == ["A HC", "B mHC no edits", "C mHC cut stream 2, layer 20"]
    assert label_sources(runs, {"C": "ours"})[2] == "C ours"
    assert label_sources([source("mhc", cut), source("hc", cut)]) == ["A mHC", "B HC"]


def test_labels_name_edits_where_recordings_of_a_model_differ_in_them() -> None:
    def record(name: str, *edits: dict[str, Any]) -> TraceSource:
        return TraceSource(model=Model(name=name, parameters=1), versions={}, edits=list(edits) or None)

    cut = {"layers": [1, 1], "what": "branch", "do": "zero"}
    edited, plain = record("GPT2LMHeadModel", cut), record("GPT2LMHeadModel")
    assert label_sources([edited, plain]) == ["A GPT2LM…Model branch = 0, layer 2", "B GPT2LM…Model no edits"]
    assert label_sources([edited, edited]) == ["A GPT2LMHeadModel", "B GPT2LMHeadModel"]
    assert label_sources([edited, record("BERT")]) == ["A GPT2LMHeadModel", "B BERT"]
