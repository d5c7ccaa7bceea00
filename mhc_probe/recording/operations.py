"""Track a state through the operations of a layer, to find the factor c of its skip path: x' = c x + (anything else).

Only additions and scalings may connect x and x'. No derivative is taken and nothing is computed twice, so that this
works without a graph too.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mhc_probe.recording.terms import HARMLESS, PRODUCTS, REDUCTIONS, TermReader, list_operands


class OperationTracker(TorchFunctionMode):
    """Tracks one state through the operations of a layer, or collects operands. Results of torch are unchanged.

    It is active from `follow` or `collect` to the matching `stop`, which must also run if the layer raises: torch
    keeps such modes on a stack, and only the top one can be removed.
    """

    def __init__(self) -> None:
        super().__init__()
        # id -> the tensor, kept alive so that its id is not reused, and its factor c.
        self._followed: dict[int, tuple[torch.Tensor, float]] = {}
        self._terms = TermReader()
        self._size: int | None = None
        self._is_active = False
        self.operands: list[torch.Tensor] = []
        self._keeps_factors = False
        self._factors: list[torch.Tensor] = []

    def follow(self, state: torch.Tensor) -> None:
        """Start to track this state, and no other, through additions and scalings."""
        self._followed = {id(state): (state, 1.0)}
        self._activate()

    def collect(self, size: int, *, with_factors: bool = False) -> None:
        """Start to store operands with at most `size` entries, in order.

        with_factors: also store the two factors of the latest product of which one has more entries.
        """
        self._size, self.operands, self._keeps_factors = size, [], with_factors
        self._activate()

    def stop(self) -> list[torch.Tensor]:
        """Stop tracking and collecting. Return the collected operands; [] if neither was started."""
        if self._is_active:
            self._is_active = False
            self.__exit__(None, None, None)
        operands = self.operands
        self._followed, self._size, self.operands = {}, None, []
        return operands

    def take_factors(self) -> list[torch.Tensor]:
        """Return the factors of the latest large product, and forget them; [] if there was none."""
        factors, self._factors, self._keeps_factors = self._factors, [], False
        return factors

    def _activate(self) -> None:
        """Start intercepting all operations of torch."""
        self._is_active = True
        self.__enter__()

    def find_factor(self, tensor: torch.Tensor) -> float:
        """Return c of x' = c x + (anything else) for a tensor x'; 0 if other operations connect x and x'."""
        kept = self._followed.get(id(tensor))
        return 0.0 if kept is None else kept[1]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation; collect its operands, and track the state into its result."""
        out = func(*args, **(kwargs or {}))
        if self._size is not None:
            operands = list_operands(args)
            self.operands += [arg for arg in operands if arg.numel() <= self._size]
            if self._keeps_factors and getattr(func, "__name__", "") in PRODUCTS and len(operands) == 2:
                self._factors = operands if max(part.numel() for part in operands) > self._size else self._factors
        if self._followed and isinstance(out, torch.Tensor):
            self._follow_into(out, getattr(func, "__name__", ""), args, kwargs or {})
        return out

    def _follow_into(self, out: torch.Tensor, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Store with which factor an operation's result contains the tracked state."""
        self._terms.remember(name, args, kwargs, out)
        factor = 0.0
        # Reading a factor from a tensor waits for its device: do so only if the state may be among the operands.
        operands = list_operands([*args, *kwargs.values()])
        if name in REDUCTIONS or any(id(tensor) in self._followed for tensor in operands):
            terms = self._terms.read(name, args, kwargs)
            factor = sum(scale * self.find_factor(tensor) for tensor, scale in terms.known)
        if factor:
            self._followed[id(out)] = (out, factor)
        elif name not in HARMLESS:
            self._followed.pop(id(out), None)  # another operation changed it in place
