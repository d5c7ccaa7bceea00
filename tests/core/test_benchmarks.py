"""Benchmarks run: one round of the card's on the CPU, one of how a run grows, and all in turn. No duration asserted."""

import subprocess
import sys
from unittest.mock import patch

import pytest
import torch

from benchmarks import gpu, growth
from benchmarks.rows import format_table

pytestmark = pytest.mark.full

CPU = torch.device("cpu")


def test_every_row_has_a_value_where_there_is_a_card() -> None:
    limits = gpu.measure_limits(CPU, copied_bytes=2**16, width=32, rounds=1)
    stacks = gpu.measure_stacks(CPU, width=16, depth=2, rounds=1)
    assert all(value > 0 for value in (limits | stacks).values())
    assert stacks["launches dynamic"] > stacks["launches static"] > 0
    with (
        patch.object(gpu, "measure_limits", return_value=limits),
        patch.object(gpu, "measure_stacks", return_value=stacks),
        patch.object(gpu, "measure_peer", return_value=1.0),
    ):
        assert gpu.measure_card(CPU).keys() == gpu.build_rows().keys()


def test_without_a_card_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    with (
        patch.object(gpu, "find_card", return_value=None),
        patch.object(gpu, "measure_card", side_effect=AssertionError),
    ):
        gpu.main()
    assert capsys.readouterr().out.count('"value": null') == len(gpu.build_rows())
    lines = format_table(list(gpu.build_rows().values())).splitlines()[2:]
    assert all("unmeasured" in line for line in lines)


def test_a_run_grows() -> None:
    rows = growth.measure_growth(depths=(4, 8), rounds=1)
    assert [row.measure.rpartition(", ")[2] for row in rows] == ["CKA apart", "CKA apart", "with CKA", "with CKA"]
    assert all(row.value is not None and row.value > 0 for row in rows)


def test_a_benchmark_that_fails_costs_no_rows_of_the_others() -> None:
    command = [sys.executable, "-m", "benchmarks", "no_such", "gpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "failed, with its rows missing above: no_such" in done.stderr
    assert all(f"| {row.measure} " in done.stdout for row in gpu.build_rows().values())
