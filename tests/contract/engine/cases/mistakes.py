"""What cannot be computed fails with a reason, and the worker goes on."""

import pytest
import torch

from tests.contract.engine.bench import SMALL, Bench


async def fail(bench: Bench, job_id: str) -> str:
    """Wait for the failure of a job without frames, and for a job behind it; the reason."""
    end = await bench.recorder.wait_for_end(job_id)
    assert (end.index, end.status) == (0, "failed")
    assert end.reason is not None
    await bench.compute()
    return end.reason


async def test_a_spec_that_is_not_valid(bench: Bench) -> None:
    assert "Depth must be a whole number" in await fail(bench, await bench.submit(SMALL | {"depth": 0}))


async def test_a_field_that_no_spec_has(bench: Bench) -> None:
    assert "colour" in await fail(bench, await bench.submit(SMALL | {"colour": "red"}))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
async def test_a_device_that_is_not_there(bench: Bench) -> None:
    reason = await fail(bench, await bench.submit(SMALL | {"device": "cuda"}))
    assert reason == "device: got 'cuda', wanted auto or cpu: this machine has no CUDA device"


async def test_a_kind_that_no_worker_knows(bench: Bench) -> None:
    assert "dance" in await fail(bench, await bench.submit(kind="dance"))
