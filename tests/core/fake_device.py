"""A device that is not the CPU and has no kernels: what a card would be asked to do, counted without a card.

Tensors on it are fake: they have a shape, a type and a device, but no values. Work on the host is real. A copy to the
host brings ones, so that the code goes on. torch looks for devices when autograd first runs, so the device must be
registered before: `FakeDevice` does it in a process of its own.
"""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from typing import Any, NamedTuple, Self
from unittest.mock import patch

import torch
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_any, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from benchmarks.launches import sum_launches
from mhc_core.measure.run import run
from mhc_core.spec import RunSpec
from mhc_core.stack import build_stack

NAME = "fakecard"
# Operators for which the host waits: values as Python numbers, and checks of what a solver on the device reports.
READS = {"_local_scalar_dense", "equal", "_linalg_check_errors", "_linalg_eigh", "_linalg_svd"}


class Calls(NamedTuple):
    """What a device was asked to do.

    Attributes
    ----------
    operators: name -> how often the device was called for it.
    syncs: name -> how often the host waited for values.
    uploads: how often a tensor was copied from the host.
    """

    operators: Counter[str]
    syncs: Counter[str]
    uploads: int

    @property
    def launches(self) -> int:
        """Operators that start work on the device."""
        return sum_launches(self.operators)


@cache
def get_name(operator: Any) -> str:
    """Return the name of an operator. Cached, because torch's lookup would take a tenth of the test."""
    return str(operator.overloadpacket.__name__)


class DeviceCounter(TorchDispatchMode):
    """Runs operators of a device on fake tensors and those of the host as they are, and counts the device's.

    An operator that is given a tensor of the device and one of the host is a fault. It does not raise before
    `calls`: an error amid autograd's way down would end the process. A result whose size depends on values (`nonzero`,
    a boolean index) raises at once: it would wait for the device, and has no size here.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device, self.fake = device, FakeTensorMode()
        self.faults: list[str] = []
        self.reset()

    def reset(self) -> None:
        """Count from zero."""
        self.operators, self.syncs, self.uploads = Counter[str](), Counter[str](), 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = get_name(func)
        on_device = tree_any(lambda leaf: isinstance(leaf, FakeTensor), (args, kwargs))
        target = torch.device(kwargs.get("device") or (self.device if on_device else "cpu"))
        if func.namespace == "prim" or not (on_device or target.type == self.device.type):
            return func(*args, **kwargs)
        self.operators[name] += 1
        if name == "_to_copy" and on_device and target.type == "cpu":
            return self._download(name, args[0], kwargs.get("dtype"))
        if name == "_to_copy" and not on_device:
            return self._upload(args[0], kwargs.get("dtype"))
        if name == "copy_" and not isinstance(args[0], FakeTensor):
            return args[0].copy_(self._download(name, args[1], None))
        if name in READS:
            self.syncs[name] += 1
        if name == "_local_scalar_dense":
            return torch.ones((), dtype=args[0].dtype).item()
        return self._run(func, *tree_map(partial(self._check, name), (args, kwargs)))

    def _download(self, name: str, tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
        self.syncs[name] += 1
        return torch.ones(tensor.shape, dtype=dtype or tensor.dtype)

    def _upload(self, tensor: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        self.uploads += 1
        with self.fake:
            return torch.empty_strided(tensor.shape, tensor.stride(), dtype=dtype or tensor.dtype, device=self.device)

    def _check(self, name: str, leaf: Any) -> Any:
        """The argument of an operator; a tensor of the host is a fault, and is replaced so that the run goes on."""
        if not isinstance(leaf, torch.Tensor) or isinstance(leaf, FakeTensor):
            return leaf
        self.faults.append(f"{name} was given a tensor of shape {tuple(leaf.shape)} on the CPU")
        return self._upload(leaf)

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        try:
            with self.fake:
                return func(*args, **kwargs)
        except DynamicOutputShapeException:
            raise RuntimeError(f"the size of what {func} gives depends on values: the host would wait") from None

    def calls(self) -> Calls:
        """What was counted so far.

        Raises
        ------
        RuntimeError
            Where operators were given tensors of the host.
        """
        if self.faults:
            raise RuntimeError("; ".join(dict.fromkeys(self.faults)))
        return Calls(self.operators, self.syncs, self.uploads)


def count_run(spec: RunSpec) -> Calls:
    """What a run asks of the device once the stack lies on it. Only in a process where the device is registered."""
    device = torch.device(NAME, 0)
    with DeviceCounter(device) as counter:
        stack = build_stack(spec).to(device)
        counter.reset()
        with (
            patch("mhc_core.measure.run.choose_device", return_value=device),
            patch("mhc_core.measure.run.build_stack", return_value=stack),
            patch.object(stack, "to", return_value=stack),  # torch cannot move fake parameters a second time
        ):
            for _ in run(spec):
                pass
    return counter.calls()


def _register() -> None:
    torch.set_num_threads(1)
    _setup_privateuseone_for_python_backend(NAME)


class FakeDevice:
    """A process in which the device is registered."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=_register)

    def count(self, specs: Iterable[RunSpec], work: Callable[[RunSpec], Calls] = count_run) -> list[Calls]:
        """What each run asks of the device; `work` is a function of a module, for tests that plant a fault."""
        return list(self._pool.map(work, specs))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
