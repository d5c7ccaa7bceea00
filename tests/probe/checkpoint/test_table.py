"""The table of a checkpoint's layers says what its coefficients are."""

from pathlib import Path

import numpy as np
import pytest

from mhc_core.findings.numerals import format_value
from mhc_core.record.result import Result
from mhc_probe.checkpoint import read_checkpoint
from mhc_probe.checkpoint.table import MOST_ROWS, format_layers
from tests.core import measures
from tests.probe.checkpoint.stored import draw_connections, write_file


def read(path: Path, blocks: int) -> Result:
    return read_checkpoint(write_file(path / "model.safetensors", draw_connections(blocks)))


def test_a_row_has_the_norms_of_its_layer_as_stored_and_in_the_fixed_basis(tmp_path: Path) -> None:
    result = read(tmp_path, 3)
    rows = [line.split() for line in format_layers(result).splitlines()[1:7]]
    h_pre, h_post, h_res = (result.matrices[key] for key in ("h_pre", "h_post", "h_res"))
    for layer, (number, branch, used, *norms) in enumerate(rows):
        passed = measures.product(h_res, 0, layer - 1) if layer else np.eye(4)
        written = np.linalg.solve(h_res[layer] @ passed, h_post[layer])
        wanted = [np.linalg.norm(x) for x in (h_pre[layer], h_pre[layer] @ passed, h_post[layer], written)]
        assert (number, branch) == (str(layer + 1), result.blocks[layer])
        assert norms == [format_value(float(norm), digits=3) for norm in wanted]
        assert float(used) == pytest.approx(result.layers["kernel_rank"][layer], rel=6e-3)


def test_of_a_deep_model_some_layers_are_listed_and_the_table_says_so(tmp_path: Path) -> None:
    table = format_layers(read(tmp_path, 40)).splitlines()
    assert len(table) == MOST_ROWS + 3
    assert [int(table[place].split()[0]) for place in (1, MOST_ROWS)] == [1, 80]
    assert table[-1].endswith(f" {MOST_ROWS} of 80 layers.")


def test_without_reads_there_is_no_table(tmp_path: Path) -> None:
    gates = {
        f"model.layers.{block}.{part}.block_inject_weight.weight": np.zeros((4, 32), dtype=np.float32)
        for block in range(2)
        for part in ("attn_hyper_connection", "mlp_hyper_connection")
    }
    result = read_checkpoint(write_file(tmp_path / "model.safetensors", gates))
    assert "h_pre" not in result.matrices
    assert format_layers(result) == ""
