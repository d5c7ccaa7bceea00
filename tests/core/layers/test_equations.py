"""docs/equations.md has every family, with the properties that the family states."""

import math
import re

import pytest

from mhc_core.families import FAMILIES
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "equations.md").read_text()
TABLE = TEXT.partition("## Properties")[2].partition("\n## ")[0]
ROWS = {
    cells[0]: cells[1:]
    for line in TABLE.splitlines()
    if line.startswith("| ") and (cells := [cell.strip() for cell in line.strip("|").split("|")])[0] != "kind"
}
SECTIONS = {
    section.partition("\n")[0]: section.partition("\n")[2]
    for section in TEXT.partition("\n## Kinds\n")[2].split("\n### ")[1:]
}


def test_every_family_has_a_row_and_a_section_and_no_other_does() -> None:
    assert list(ROWS) == list(FAMILIES)
    assert list(SECTIONS) == list(FAMILIES)


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_row_states_the_properties_of_the_family(kind: str) -> None:
    family, (rows, columns, bounded, signed, logits, drawn) = FAMILIES[kind], ROWS[kind]
    assert drawn == family.drawn
    if not family.has_streams:
        assert {rows, columns, bounded, signed, logits} == {"–"}
        return
    assert (rows, columns) == (family.rows, family.columns)
    assert (bounded, signed) == ("yes" if family.norm_bounded else "no", "yes" if family.signed else "no")
    for n in (1, 2, 3, 4, 5, 8, 16):
        if family.rule(n, 240) is None:
            known = {"n": n, "factorial": math.factorial, "log2": math.log2}
            assert eval(logits.strip("`"), {"__builtins__": {}}, known) == family.logits(n), n


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_section_has_a_start_a_source_and_the_papers_number(kind: str) -> None:
    section = " ".join(SECTIONS[kind].split())
    definition, _, rest = section.partition("Start: ")
    assert definition.strip()
    assert rest.partition("Source: ")[2].strip()
    docstring = (ROOT / "mhc_core" / "families" / f"{kind}.py").read_text().partition('"""')[2].partition('"""')[0]
    for number in re.findall(r"\b\d{4}\.\d{5}\b", docstring):
        assert number in section, f"the docstring cites arXiv {number}"


@pytest.mark.parametrize("kind", [kind for kind, family in FAMILIES.items() if family.by_depth])
def test_a_section_says_that_layers_depend_on_the_depth(kind: str) -> None:
    assert "depends on the depth" in SECTIONS[kind]
