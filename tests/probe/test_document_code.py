"""The Python of documents runs as it is printed, with a model, data or files as readers would have them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.record.result import Result
from tests.conftest import ROOT
from tests.probe.checkpoint.stored import STREAMS, draw_connections, write_file
from tests.probe.conformance.test_calling import ReturnsAll, apply

Names = dict[str, Any]
LAYERS, HEADS, TOKENS = 2, 2, 8
# Documents whose code other tests run or read, by the text of the test that names them.
ELSEWHERE = {
    "README.md": "tests/test_docs.py",
    "docs/package.md": "tests/test_package.py",
    "docs/protocol.md": "tests/core/record/test_schema.py",
    "docs/scripts.md": "tests/probe/client/test_examples.py",
}


def build_model() -> Names:
    """A small GPT-2 and a batch, of which every document about models says `model` and `batch`."""
    from transformers import GPT2Config, GPT2LMHeadModel  # seconds: not for the test that only reads documents

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(n_layer=LAYERS, n_head=HEADS, n_embd=16, vocab_size=32, n_positions=TOKENS))
    ids = torch.randint(32, (8, TOKENS))
    return {"model": model, "batch": {"input_ids": ids, "labels": ids}}


def run_code(document: str, names: Names, blocks: slice = slice(None)) -> None:
    code = "\n".join(read_blocks(ROOT / "docs" / document)[blocks])
    exec(compile(code, document, "exec"), names)


def read_blocks(path: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)


def run_lens() -> None:
    names = build_model()
    run_code("lens.md", names)
    assert names["lens"].kl.shape == (LAYERS + 1,)
    assert names["lens"].kl[-1] == pytest.approx(0, abs=1e-6)
    assert names["probes"].targets == ("position", "token", "next")
    assert names["probes"].accuracy.shape == (3, LAYERS + 1, 1)


def run_models() -> None:
    """Without its first block: it shows how models call layers, and runs in a class alone."""
    names: Names = {}
    run_code("models.md", names, slice(1, None))
    assert names["result"].loss != names["result"].loss_base
    atlas = names["atlas"]
    assert atlas.values["loss"].shape == (len(atlas.cuts), 4, 1)


def run_check() -> None:
    names: Names = {"module": ReturnsAll(), "apply": apply}
    run_code("check.md", names)
    assert names["report"].passed


def run_checkpoints() -> None:
    Path("folder-of-shards").mkdir()
    write_file(Path("folder-of-shards") / "model.safetensors", draw_connections(2))
    names: Names = {}
    run_code("checkpoints.md", names)
    assert names["result"].matrices["h_res"].shape == (2 * 2, STREAMS, STREAMS)
    np.testing.assert_array_equal(Result.load("model.mhct").matrices["h_res"], names["result"].matrices["h_res"])


def run_monitor() -> None:
    given: list[Any] = []
    names = build_model()

    def train(model: Any) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(2):
            optimizer.zero_grad()
            model(**names["batch"]).loss.backward()
            optimizer.step()

    more = {"train": train, "arguments": None, "Trainer": lambda *_, callbacks: given.extend(callbacks)}
    run_code("monitor.md", names | more)
    assert Result.load("run.mhct").depth == LAYERS
    assert [hasattr(callback, "on_train_end") for callback in given] == [True, True]


RUNS: dict[str, Callable[[], None]] = {
    "docs/lens.md": run_lens,
    "docs/models.md": run_models,
    "docs/check.md": run_check,
    "docs/checkpoints.md": run_checkpoints,
    "docs/monitor.md": run_monitor,
}


@pytest.mark.full
@pytest.mark.parametrize("document", RUNS)
def test_the_code_of_a_document_runs(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    RUNS[document]()


def test_no_document_has_code_that_no_test_knows() -> None:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    with_code = {str(path.relative_to(ROOT)) for path in documents if read_blocks(path)}
    assert with_code == RUNS.keys() | ELSEWHERE.keys()
    for test in ELSEWHERE.values():
        assert "```python" in (ROOT / test).read_text(), test
