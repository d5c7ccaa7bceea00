"""The benchmark of a card runs: once on the CPU, one round of each, no duration asserted."""

from unittest.mock import patch

import pytest
import torch

from benchmarks import gpu
from benchmarks.rows import format_table

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
