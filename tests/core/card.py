"""A device beside the CPU that computes: its tensors have values, which lie where no operator of the CPU finds them.

Torch has one device on a machine without a card. This one is enough to spread a model over two: an operator that is
given tensors of both raises, as between the CPU and a card, and what is moved must be moved by someone.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "card"
Returned = TypeVar("Returned")
# What takes tensors from one device to another. All else stays on one.
MOVES = {"_to_copy", "copy_", "to", "set_"}


class OnCard(torch.Tensor):
    """A tensor of the card; `numbers` holds what it computes with."""

    numbers: torch.Tensor

    @staticmethod
    def __new__(cls, numbers: torch.Tensor) -> "OnCard":
        wrapped: OnCard = torch.Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=torch.device(NAME, 0),
        )
        wrapped.numbers = numbers
        return wrapped

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise AssertionError("a tensor of the card is used where there is no card: enter `Card`")


class Card(TorchDispatchMode):
    """While it is entered there is a card."""

    def __enter__(self) -> "Card":
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=card) makes it here, and moves it
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch._C._set_only_lift_cpu_tensors(False)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if name not in MOVES:
            _require_one_device(name, leaves)
        asked = kwargs.get("device")
        on_card = torch.device(asked).type == NAME if asked is not None else _is_on_card(name, leaves)
        if asked is not None:
            kwargs = {**kwargs, "device": "cpu"}
        out = _compute(func, name, tree_map(_take_off, args), tree_map(_take_off, kwargs))
        if name == "_to_copy" and on_card and any(out is _take_off(leaf) for leaf in leaves):
            out = out.clone()
        known = {id(leaf.numbers): leaf for leaf in leaves if isinstance(leaf, OnCard)}
        return tree_map(lambda leaf: _put_on(leaf, known) if on_card else leaf, out)


def _compute(func: Any, name: str, args: Any, kwargs: Any) -> Any:
    """What the operator gives, by the CPU: a card counts integers, too, for which the CPU takes floating point."""
    if name == "histc" and not args[0].is_floating_point():
        return func(args[0].float(), *args[1:], **kwargs).to(args[0].dtype)
    return func(*args, **kwargs)


def _take_off(leaf: Any) -> Any:
    return leaf.numbers if isinstance(leaf, OnCard) else leaf


def _put_on(leaf: Any, known: dict[int, OnCard]) -> Any:
    """On the card, where it is a tensor; what an operator changed in place is the tensor that it was given."""
    if not isinstance(leaf, torch.Tensor):
        return leaf
    return known[id(leaf)] if id(leaf) in known else OnCard(leaf)


def _is_on_card(name: str, leaves: list[torch.Tensor]) -> bool:
    """Where a result lies: a copy lies where it is written, all else where any of it was."""
    return any(isinstance(leaf, OnCard) for leaf in leaves[: 1 if name == "copy_" else None])


def _require_one_device(name: str, leaves: list[torch.Tensor]) -> None:
    """As torch has it: only single numbers of the host, and its indices, may stand beside tensors of a card."""
    beside = [leaf for leaf in leaves if not isinstance(leaf, OnCard) and leaf.ndim]
    if name.startswith("index") and leaves and isinstance(leaves[0], OnCard):
        beside = [leaf for leaf in beside if leaf.is_floating_point()]
    if beside and len(beside) < len(leaves) and any(isinstance(leaf, OnCard) for leaf in leaves):
        raise RuntimeError(f"{name} was given tensors of {NAME}:0 and of the CPU")


def _register() -> None:
    torch.set_num_threads(1)
    _setup_privateuseone_for_python_backend(NAME)


class WithCard(AbstractContextManager["WithCard"]):
    """A process in which the device is registered: torch looks for devices when autograd first runs."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=_register)

    def call(self, work: Callable[..., Returned], *args: Any) -> Returned:
        """What a function of a module returns there; its arguments and what it returns are pickled."""
        return self._pool.submit(work, *args).result()

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
