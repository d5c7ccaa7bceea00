"""The corpus as input: what is read when, and which part of it training never sees."""

import hashlib
import math
from importlib import resources
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.inputs import TextEmbedding, build_input, describe_input
from mhc_core.inputs.corpus import load_corpus
from mhc_core.record.start import CorpusInput
from mhc_core.spec import RunSpec, SpecErrors, parse_spec
from tests.core.conftest import CONNECTIONS, build_spec, measure

SHORT = {"kind": "corpus", "batch": 2, "tokens": 12}


def corpus_spec(**fields: Any) -> RunSpec:
    return build_spec(input=SHORT, **fields)


def read_batch(made: TextEmbedding, step: int | None) -> list[bytes]:
    made.set_batch(step)
    return [bytes(row) for row in torch.cat([made.ids_BT, made.targets_BT[:, -1:]], 1).tolist()]


def build_corpus_input(spec: RunSpec) -> TextEmbedding:
    made = build_input(spec)
    assert isinstance(made, TextEmbedding)
    return made


def find_starts(part: np.ndarray, windows: list[bytes]) -> list[int]:
    """Where each window begins in a part of the text; -1 where it does not occur."""
    return [part.tobytes().find(window) for window in windows]


def test_the_text_is_the_one_that_its_note_names() -> None:
    training, held_out = load_corpus()
    digest = hashlib.sha256(training.tobytes() + held_out.tobytes()).hexdigest()
    note = (resources.files("mhc_core.inputs") / "corpus.md").read_text()
    assert digest in note
    assert f"{len(training) + len(held_out):,} bytes" in note
    assert training.max() < 128 > held_out.max(), "ASCII, as the note says"
    assert training.tobytes().startswith(b"First Citizen:\nBefore we proceed")
    assert len(held_out) == pytest.approx(0.1 * (len(training) + len(held_out)), abs=1)


def test_every_step_reads_fresh_windows_of_the_first_nine_tenths() -> None:
    training, held_out = load_corpus()
    made = build_corpus_input(build_spec(input={**SHORT, "tokens": 40}))
    batches = [read_batch(made, step) for step in range(100)]
    windows = [window for batch in batches for window in batch]
    starts = find_starts(training, windows)
    assert min(starts) >= 0
    assert max(find_starts(held_out, windows)) == -1
    assert len(set(starts)) == len(starts) == 200, "no window twice"
    assert min(starts) < 0.05 * len(training) < 0.95 * len(training) < max(starts)


def test_measured_passes_read_the_last_tenth_before_and_after_training() -> None:
    training, held_out = load_corpus()
    made = build_corpus_input(build_spec(input={**SHORT, "batch": 5, "tokens": 40}))
    before = read_batch(made, None)
    read_batch(made, 3)
    assert read_batch(made, None) == before
    assert before[0] == held_out[:41].tobytes()
    assert before[-1] == held_out[-41:].tobytes()
    assert min(find_starts(held_out, before)) >= 0
    assert max(find_starts(training, before)) == -1


def test_batches_depend_on_the_seed_and_the_step_alone() -> None:
    def batch(step: int, **fields: Any) -> list[bytes]:
        return read_batch(build_corpus_input(corpus_spec(**fields)), step)

    assert batch(4) == batch(4, depth=2, connection={"kind": "hc"}, dtype="float32", width=16)
    assert batch(4) != batch(5)
    assert batch(4) != batch(4, seed=1)


def test_the_loss_is_the_cross_entropy_of_the_next_byte_of_the_held_out_text() -> None:
    """A stack without layers' effect is not needed: the loss is computed from the embedding on in plain numpy."""
    spec = corpus_spec(connection={"kind": "residual"}, block={"scaling": "rezero"})
    result = measure(spec)
    made = build_corpus_input(spec)
    _, held_out = load_corpus()
    starts = [0, len(held_out) - 13]
    rows = np.stack([held_out[start : start + 13] for start in starts])
    table, readout = made.embedding_VC.detach().double().numpy(), made.readout_VC.detach().double().numpy()
    x = table[rows[:, :-1]]  # branches that start at zero change nothing
    logits = x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True)) @ readout.T
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    wanted = -np.mean([math.log(chances[b, t, rows[b, t + 1]]) for b in range(2) for t in range(12)])
    assert result.loss == pytest.approx(wanted, rel=1e-12)


@pytest.mark.full
def test_training_lowers_the_loss_on_text_that_it_never_saw() -> None:
    spec = build_spec(
        depth=2,
        width=32,
        dtype="float32",
        connection={"kind": "residual"},
        input={"kind": "corpus", "batch": 4, "tokens": 32},
        train={"steps": 60, "lr": 0.01, "kept": 2},
    )
    result = measure(spec)
    assert result.loss_untrained is not None
    assert result.loss < 3.5 < 5 < result.loss_untrained


@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize("name", ["residual", "hc-dynamic", "mhc"])
def test_verify_finds_nothing_wrong(name: str, steps: int) -> None:
    spec = corpus_spec(connection=CONNECTIONS[name], train={"steps": steps, "lr": 0.01})
    checks = verify(spec, measure(spec), recompute(spec))
    assert [check for check in checks if check.verdict == "fails"] == []
    assert "recomputation" in {check.name for check in checks}


def test_the_canonical_form_has_no_text() -> None:
    """Texts of the field that does not apply leave no trace; the kind is part of the id."""
    spec = corpus_spec()
    assert set(spec.canonical()["input"]) == {"kind", "batch", "tokens"}
    assert spec.id == build_spec(input={**SHORT, "text": "another"}).id
    assert spec.id != build_spec(input={**SHORT, "kind": "text"}).id
    with pytest.raises(SpecErrors):
        parse_spec({"input": {"kind": "corpora"}})


def test_the_schema_offers_the_corpus_and_no_text_for_it() -> None:
    """The page's controls are made from it."""
    fields = RunSpec.model_json_schema()["$defs"]["InputSpec"]["properties"]
    assert fields["kind"]["enum"] == ["text", "corpus", "gaussian", "correlated", "digits"]
    assert fields["kind"]["control"] == "select"
    assert fields["text"]["applies"] == [{"input.kind": ["text"]}]
    assert not any("corpus" in rule["input.kind"] for rule in fields["correlation"]["applies"])


def test_a_run_says_what_it_read() -> None:
    training, held_out = load_corpus()
    said = CorpusInput(**describe_input(corpus_spec()))
    assert (said.training_bytes, said.held_out_bytes, said.bytes_used) == (len(training), len(held_out), 26)
    assert said.licence == "public domain"
    (loss,) = [finding for finding in measure(corpus_spec()).summary.findings if finding.key == "loss"]
    assert "nats/byte" in loss.text
