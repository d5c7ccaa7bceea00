"""A worker's threads: tensors must be large to gain from more than one."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from mhc_scope.engine import worker_process as worker

pytestmark = pytest.mark.full

SMALL: dict[str, Any] = {
    "depth": 1,
    "width": 8,
    "block": {"kind": "mlp"},
    "input": {"kind": "gaussian", "batch": 1, "tokens": 8},
}
LARGE = SMALL | {"width": 512, "input": {"kind": "gaussian", "batch": 4, "tokens": 512}}


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("spec", "expected"), [(SMALL, 1), (LARGE, 2), (LARGE | {"width": 256}, 1)], ids=["small", "large", "half"]
)
def test_a_run_computes_with_all_threads_where_its_tensors_are_large(spec: dict[str, Any], expected: int) -> None:
    torch.set_num_threads(3)
    next(worker._compute_job("run", spec, 2))
    assert torch.get_num_threads() == expected
