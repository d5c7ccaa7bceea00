"""The page of families: every family is on it, and each of its numbers and statements holds for a run."""

import html
import importlib
import re
from datetime import date
from functools import cache

import httpx
import numpy as np
import pytest

from mhc_core.families import FAMILIES
from mhc_core.family import GROUPS
from mhc_core.record.result import Result
from mhc_core.stack import build_stack
from mhc_scope.pages.families import Entry, build_entries, group_entries
from mhc_scope.pages.initialisations import build_rows
from mhc_scope.presets.families import LAYER, build_family_spec, read_measured
from tests.conftest import Server
from tests.core.conftest import measure

EVERYDAY = ("none", "hc", "mhc", "kromhc")  # the others when all is tested
KINDS = [kind if kind in EVERYDAY else pytest.param(kind, marks=pytest.mark.full) for kind in FAMILIES]


@pytest.fixture(scope="module")
def text(server: Server) -> str:
    """The page as it is sent."""
    with httpx.Client(base_url=server.url, timeout=30) as http:
        answer = http.get("/families")
    assert answer.status_code == 200
    return answer.text


@cache
def index_entries() -> dict[str, Entry]:
    return {entry.kind: entry for entry in build_entries()}


def find_entry(kind: str) -> Entry:
    return index_entries()[kind]


@cache
def measure_kind(kind: str) -> Result:
    return measure(build_family_spec(kind))


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_name_is_not_repeated_in_the_words_that_follow_it(kind: str) -> None:
    family = FAMILIES[kind]
    words = re.split(r"[^\w-]+", family.summary.lower())
    assert words[0] != family.name.lower()


@pytest.mark.full
def test_every_family_is_on_the_page_with_its_numbers(text: str) -> None:
    plain = html.unescape(re.sub(r"\s+", " ", text))
    for kind, family in FAMILIES.items():
        article = plain.partition(f'<article id="{kind}">')[2].partition("</article>")[0]
        entry = find_entry(kind)
        said = [family.name, family.summary, family.keeps, family.gives_up, *entry.gains.values()]
        dated = [(use, f", since {use.date}" if use.date else "") for use in entry.uses]
        assert all(f"{use.model} <small>({use.source}{since})" in article for use, since in dated)
        said += [*entry.costs.values(), *(cell.text for row in entry.cells for cell in row)]
        missing = [part for part in said if f">{part}" not in article]
        assert family.keeps
        assert missing == []
        assert f'href="#{kind}"' in plain, "the tree names it"


def test_the_overview_has_one_line_for_each_family_in_its_group(text: str) -> None:
    sections = re.findall(r"<section[^>]*>(.*?)</section>", html.unescape(re.sub(r"\s+", " ", text)))
    listed = {}
    for section in sections:
        title = re.findall(r"<h2[^>]*>([^<]*)</h2>", section)[0]
        for kind, line in re.findall(r'<article id="(\w+)"> <details> <summary>(.*?)</summary>', section):
            listed[kind] = title
            entry = find_entry(kind)
            assert f"<h3>{entry.family.name}</h3>" in line
            assert f">{entry.family.summary}" in line
            assert re.findall(r"gain <b>([^<]*)</b>", line) == ([entry.gains["forward"]] if entry.gains else [])
    assert listed == {kind: family.group for kind, family in FAMILIES.items()}


def test_the_line_of_a_group_holds_for_its_families() -> None:
    groups = {group.title: [entry.family for entry in group.entries] for group in group_entries(build_entries())}
    assert list(groups) == list(GROUPS)
    assert not any(family.has_streams for family in groups["One stream"])
    assert all(family.has_streams and not family.norm_bounded for family in groups["Free mixing"])
    for family in groups["Doubly stochastic"]:
        assert family.keeps_sums
        assert not family.signed
    assert all(family.orthogonal for family in groups["Orthogonal"])
    assert not any(family.has_mixing for family in groups["Earlier outputs"])


def test_the_table_of_initialisations_is_on_the_page_with_its_numbers(text: str) -> None:
    table = html.unescape(re.sub(r"\s+", " ", text)).partition('<table class="learning">')[2].partition("</table>")[0]
    head, *lines = table.partition("<thead>")[2].split("<tr>")[1:]
    rows = build_rows()
    assert re.findall(r">([^<]+)</th>", head) == ["initialisation", *rows[0].cells]
    for row, line in zip(rows, lines, strict=True):
        assert re.findall(r"<td[^>]*>([^<]*)</td>", line) == list(row.cells.values())
        assert row.initialisation.name in line
        assert re.findall(r'href="[^"]*(/p/\w+)"', line) == ([row.href] if row.href else [])


def test_the_page_needs_no_script(text: str) -> None:
    assert re.findall(r"<script[^>]*src=\"([^\"]+)\"", text) == re.findall(r"src=\"([^\"]+js/ui/theme.js)\"", text)


def test_stored_numbers_are_of_these_runs() -> None:
    stored = read_measured()
    assert list(stored) == list(FAMILIES), "python -m mhc_scope.presets.families"
    assert {kind: measured.id for kind, measured in stored.items()} == {
        kind: build_family_spec(kind).id for kind in FAMILIES
    }


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_stored_numbers_are_those_of_a_new_run(kind: str) -> None:
    stored, result = read_measured()[kind], measure_kind(kind)
    if not FAMILIES[kind].has_mixing:
        assert (stored.gain_forward, stored.gain_backward, stored.h_res) == (None, None, None)
        assert "composite_gain_fwd" not in result.layers
        return
    assert stored.gain_forward == pytest.approx(result.layers["composite_gain_fwd"].max(), rel=1e-4)
    assert stored.gain_backward == pytest.approx(result.layers["composite_gain_bwd"].max(), rel=1e-4)
    if stored.h_res is not None:
        assert stored.h_res == pytest.approx(result.matrices["h_res"][LAYER], abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_stated_properties_hold_for_the_matrix_of_every_layer(kind: str) -> None:
    properties = find_entry(kind).properties
    if not FAMILIES[kind].has_streams:
        assert bool(properties) != FAMILIES[kind].has_mixing
        assert ("h_res" in measure_kind(kind).matrices) == FAMILIES[kind].has_mixing
        return
    h_res = np.asarray(measure_kind(kind).matrices["h_res"], dtype=np.float64)
    holds = {
        "rows sum to 1": np.allclose(h_res.sum(-1), 1, atol=1e-5),
        "columns sum to 1": np.allclose(h_res.sum(-2), 1, atol=1e-5),
        "columns sum to 1 after many Sinkhorn rounds": np.allclose(h_res.sum(-2), 1, atol=1e-2),
        "norm at most 1": np.linalg.norm(h_res, 2, axis=(-2, -1)).max() < 1 + 1e-5,
        "norm at most 1 after many Sinkhorn rounds": np.linalg.norm(h_res, 2, axis=(-2, -1)).max() < 1 + 1e-2,
        "norm not bounded by 1": np.linalg.norm(h_res, 2, axis=(-2, -1)).max() > 1,
        "no negative entries": h_res.min() >= 0,
        "entries of either sign": h_res.min() < 0 < h_res.max(),
        "H_res is the identity": np.array_equal(h_res, np.broadcast_to(np.eye(h_res.shape[-1]), h_res.shape)),
    }
    assert [said for said in properties if not holds[said]] == []


@pytest.mark.full
@pytest.mark.parametrize("kind", ["hc", "kromhc"])
def test_added_parameters_are_those_of_real_stacks(kind: str) -> None:
    count = {
        name: sum(parameter.numel() for parameter in build_stack(build_family_spec(name)).parameters())
        for name in (kind, "residual")
    }
    share = 100 * (count[kind] / count["residual"] - 1)
    assert float(find_entry(kind).costs["parameters"].strip("+ %")) == pytest.approx(share, rel=0.05)


@pytest.mark.full
def test_models_named_as_users_have_the_connection() -> None:
    named = [(kind, use) for kind, family in FAMILIES.items() for use in family.uses]
    assert named
    for kind, use in named:
        assert not use.date or date.fromisoformat(use.date).year in (2025, 2026), use
        package, _, folder = use.source.partition(", models/")
        if use.source in READ:
            continue
        assert package == "transformers", use
        module = importlib.import_module(f"transformers.models.{folder}.modeling_{folder}")
        assert [name for name in vars(module) if name.endswith(CLASSES[kind])], use


# Sources that were read and cannot be installed here.
READ = (
    "tenstorrent/tt-metal, pull request 53114",
    "karpathy/nanochat, nanochat/gpt.py",
    "huggingface/transformers, models/openpangu_v2",  # newer than the release that is installed
)
# By kind: how the class of the connection ends.
CLASSES = {
    "mhc": "HyperConnection",
    "identity_hc": "HyperConnection",
    "attnres": "AttentionResidual",
    "gated": "GatedResidual",
    "laurel": "LaurelBlock",
}


def test_a_family_without_stored_numbers_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = read_measured()
    monkeypatch.setattr(
        "mhc_scope.pages.families.read_measured", lambda: {"residual": stored["residual"], "hc": stored["hc"]}
    )
    assert [entry.kind for entry in build_entries()] == ["residual", "hc"]
