"""Sentences on papers and products have their rows in docs/claims.md, and rows their sentences and tests."""

import re
from pathlib import Path

import pytest

from mhc_core.cost.paper_models import paper_shapes
from mhc_scope.presets import PRESETS
from tests.claims import (
    NAMED,
    Row,
    collect_claims,
    place_of,
    read_javascript,
    read_markdown,
    read_python,
    read_rows,
    split_sentences,
)
from tests.conftest import ROOT

VERDICTS = ("agrees", "differs", "quoted", "names")


@pytest.fixture(scope="module")
def claims() -> dict[str, set[str]]:
    return collect_claims()


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return read_rows()


def test_every_claim_has_a_row(claims: dict[str, set[str]], rows: list[Row]) -> None:
    known = {row.sentence for row in rows}
    missing = [f"{place_of(places)}: {sentence}" for sentence, places in claims.items() if sentence not in known]
    assert not missing, "docs/claims.md has no row for:\n" + "\n".join(missing)


def test_every_row_has_a_sentence_where_it_says(claims: dict[str, set[str]], rows: list[Row]) -> None:
    gone = [row.sentence for row in rows if row.sentence not in claims]
    assert not gone, "nobody says any more:\n" + "\n".join(gone)
    assert {row.sentence: row.place for row in rows} == {text: place_of(places) for text, places in claims.items()}
    assert len({row.sentence for row in rows}) == len(rows), "one row each"


def test_every_row_has_a_verdict_and_what_differs_is_said(rows: list[Row]) -> None:
    for row in rows:
        assert row.agreement.startswith(VERDICTS), row.sentence
        assert row.agreement != "differs", row.sentence
        # What agrees has something to agree with: a test, a file, the settings of the run, or a year.
        assert row.agreement.startswith(("quoted", "names")) or (row.ours, row.theirs) != ("–", "–"), row.sentence


def test_rows_name_tests_and_files_that_exist(rows: list[Row]) -> None:
    defined = {
        name for path in (ROOT / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    for row in rows:
        for name in re.findall(r"`(test_\w+)`", row.ours):
            assert name in defined, f"{row.sentence}: no test {name}"
        for name in re.findall(r"`([\w/]+/[\w.]+)`", f"{row.ours} {row.agreement}"):
            assert (ROOT / Path(name)).exists(), f"{row.sentence}: no {name}"


def test_every_preset_has_a_test_of_what_it_says(rows: list[Row]) -> None:
    tested = {row.place.removeprefix("preset ") for row in rows if "`test_" in row.ours}
    assert tested >= {preset.name for preset in PRESETS}


def test_the_row_of_the_papers_models_has_the_counted_numbers(rows: list[Row]) -> None:
    (row,) = [row for row in rows if row.sentence.startswith("Return what HC and mHC add to the mHC paper's")]
    models = paper_shapes().models
    totals = ", ".join(f"{model.counted_total / 1e9:#.4g}B" for model in models)
    active = ", ".join(f"{model.counted_active / 1e9:#.4g}B" for model in models)
    assert f"{totals}; {active}" in row.ours
    (row,) = [row for row in rows if row.sentence == "The paper's models at n = 4, counted by us"]
    for kind in ("hc", "mhc"):
        added = [f"{100 * getattr(model, kind).flops_ratio:.2f}" for model in models]
        assert f"{added[0]}, {added[1]} and {added[2]} %" in row.ours


def test_a_named_sentence_is_found_in_every_kind_of_file() -> None:
    said = "As in Fig. 3 of HC. And on."
    assert split_sentences(said) == ["As in Fig. 3 of HC", "And on"]
    assert NAMED.search(said)
    assert not NAMED.search("mHC Scope multiplies them")
    assert list(read_python(f'"""Docstring."""\nx = f"{{y}} {said}" "{said}"\nz = ("a " "b")')) == [
        f"{{}} {said}{said}",
        "a b",
    ]
    source = f"// {said}\nconst a = 'b c', t = html`<p>${{say('{said}')}} <b>x</b> y</p>`; /* `{said} */"
    assert [text.strip() for text in read_javascript(source)] == ["b c", "¶ {} x y ¶  ¶", said]
    assert list(read_markdown(f"```\n{said}\n```\n\n- **{said}** [a](b)\n- `c`")) == ["", f" {said} a", " c"]


def test_no_script_loses_the_reader_on_its_way() -> None:
    """A quote that is taken for the start of a text would hide all that follows."""
    for path in (ROOT / "static" / "js").rglob("*.js"):
        assert "As in Fig. 99" in list(read_javascript(f"{path.read_text()}\nconst last = 'As in Fig. 99';")), path


@pytest.mark.parametrize(
    "place",
    ["preset mhc_fig_2", "panel gain", "README", "docs/measured", "connection kinds", "interface", "static/js/cards"],
)
def test_claims_are_found_everywhere(claims: dict[str, set[str]], place: str) -> None:
    assert any(place in places for places in claims.values())
