"""What is done to a state while a layer runs, told by the operations themselves.

A state passes a layer by where additions and factors alone lie between what entered and what left: then
x' = c x + (anything else). No derivative is taken and nothing is computed twice; it works without a graph too.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

SUMS = {"add": 1.0, "add_": 1.0, "__add__": 1.0, "__radd__": 1.0, "__iadd__": 1.0}
DIFFERENCES = {"sub": -1.0, "sub_": -1.0, "subtract": -1.0, "__sub__": -1.0, "__isub__": -1.0}
PRODUCTS = {"mul", "mul_", "multiply", "__mul__", "__rmul__", "__imul__"}
QUOTIENTS = {"div", "div_", "divide", "true_divide", "__truediv__", "__itruediv__"}
# The same numbers in the same order, or rounded to another type.
COPIES = {
    *("view", "view_as", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "contiguous", "clone", "alias"),
    *("to", "type", "type_as", "float", "half", "bfloat16", "double", "cpu", "cuda", "requires_grad_"),
}


class Operations(TorchFunctionMode):
    """Follows one state through the operations of a layer. Returns what torch returns.

    It listens from `follow` or `collect` to the `stop` that goes with it, which comes also where the layer fails: torch
    keeps such modes on a stack, on which others may not lie above it when it goes.
    """

    def __init__(self) -> None:
        super().__init__()
        # id -> the tensor, kept so that its id stays its own, and the factor on the state that it holds.
        self._followed: dict[int, tuple[torch.Tensor, float]] = {}
        self._size: int | None = None
        self.operands: list[torch.Tensor] = []

    def follow(self, state: torch.Tensor) -> None:
        """Follow this state from here on, and no other."""
        self._followed = {id(state): (state, 1.0)}
        self.__enter__()

    def collect(self, size: int) -> None:
        """Keep what operations take that has at most so many entries, latest last."""
        self._size, self.operands = size, []
        self.__enter__()

    def stop(self) -> list[torch.Tensor]:
        """Follow and collect nothing more; what was collected."""
        self.__exit__(None, None, None)
        operands = self.operands
        self._followed, self._size, self.operands = {}, None, []
        return operands

    def find_factor(self, tensor: torch.Tensor) -> float:
        """c of x' = c x + (anything else); 0 where the state does not pass by additions and factors alone."""
        kept = self._followed.get(id(tensor))
        return 0.0 if kept is None else kept[1]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if self._size is not None:
            self.operands += [
                arg for arg in _list_operands(args) if isinstance(arg, torch.Tensor) and arg.numel() <= self._size
            ]
        if self._followed and isinstance(out, torch.Tensor):
            factor = self._to_factor(getattr(func, "__name__", ""), args, kwargs or {})
            if factor:
                self._followed[id(out)] = (out, factor)
            elif id(out) in self._followed and not self._is_harmless(func):
                del self._followed[id(out)]  # changed in place by something else
        return out

    def _is_harmless(self, func: Callable[..., Any]) -> bool:
        """Reading an attribute, or setting a flag, returns the tensor itself at times."""
        return getattr(func, "__name__", "") in ("__get__", "requires_grad_", "retain_grad")

    def _to_factor(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> float:
        """Factor on the state in an operation's result; 0 where it holds none, or none that is known."""
        known = [self.find_factor(arg) if isinstance(arg, torch.Tensor) else 0.0 for arg in args[:2]]
        if not any(known):
            return 0.0
        if name in SUMS or name in DIFFERENCES:
            sign = SUMS.get(name, 0.0) or DIFFERENCES[name]
            other = known[1] if len(known) > 1 else 0.0
            return known[0] + sign * float(kwargs.get("alpha", 1)) * other
        if name in PRODUCTS and len(args) == 2:
            scales = [_to_number(args[1]), _to_number(args[0])]
            return sum(factor * scale for factor, scale in zip(known, scales, strict=True))
        if name in QUOTIENTS and len(args) == 2:
            scale = _to_number(args[1])
            return known[0] / scale if scale else 0.0
        if name in COPIES or (name == "dropout" and _keeps_all(args, kwargs)):
            return known[0]
        return 0.0


def _list_operands(args: Sequence[Any]) -> list[torch.Tensor]:
    """Tensors among the arguments, and in a list of them, as torch.einsum takes it."""
    flat = [part for arg in args for part in (arg if isinstance(arg, tuple | list) else (arg,))]
    return [part for part in flat if isinstance(part, torch.Tensor)]


def _to_number(value: Any) -> float:
    """A factor that is one number; 0 where it is not."""
    if isinstance(value, torch.Tensor):
        return float(value.detach()) if value.numel() == 1 else 0.0
    return float(value) if isinstance(value, int | float) else 0.0


def _keeps_all(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether torch.nn.functional.dropout(input, p, training) is given nothing to drop."""
    p = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
    training = args[2] if len(args) > 2 else kwargs.get("training", True)
    return not training or p == 0
