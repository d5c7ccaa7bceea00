"""Express one operation of torch as a weighted sum of its operands.

torch.add(x, y, alpha=3) gives [(x, 1), (y, 3)]. An operand whose factor is not a single number, such as a gain for each
channel, is not a term. A sum over stacked tensors, torch.stack([x, y]).sum(0), is tracked across both operations.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.weak import WeakIdKeyDictionary

SUMS = {"add", "add_", "__add__", "__radd__", "__iadd__"}
DIFFERENCES = {"sub", "sub_", "subtract", "subtract_", "__sub__", "__isub__"}
REVERSED_DIFFERENCES = {"rsub", "__rsub__"}
PRODUCTS = {"mul", "mul_", "multiply", "multiply_", "__mul__", "__rmul__", "__imul__"}
QUOTIENTS = {"div", "div_", "divide", "divide_", "true_divide", "__truediv__", "__itruediv__"}
NEGATIONS = {"neg", "neg_", "negative", "negative_", "__neg__"}
INTERPOLATIONS = {"lerp", "lerp_", "__lerp__"}
# input + value * (something made of the other operands)
ADDED_PRODUCTS = {"addcmul", "addcmul_", "addcdiv", "addcdiv_"}
# beta * input + (a product of matrices)
ADDED_MATRIX_PRODUCTS = {"addmm", "addmm_", "baddbmm", "baddbmm_", "addbmm", "addbmm_"}
REDUCTIONS = {"sum", "mean"}
# Operations that return the same numbers in the same order, or rounded to another type.
COPIES = {
    *("view", "view_as", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "contiguous", "clone", "alias"),
    *("to", "type", "type_as", "float", "half", "bfloat16", "double", "cpu", "cuda", "requires_grad_", "positive"),
}
# Operations that return the tensor itself and do not change its values.
HARMLESS = {"__get__", "requires_grad_", "retain_grad"}


class Terms(NamedTuple):
    """The operands of an operation, split by whether it adds a multiple of them.

    Attributes
    ----------
    known: operands that are added, each with its factor.
    others: operands that are used in another way.
    """

    known: list[tuple[torch.Tensor, float]]
    others: list[torch.Tensor]


class TermReader:
    """Reads the terms of operations, and remembers stacked tensors for later sums."""

    def __init__(self) -> None:
        self._stacks = WeakIdKeyDictionary()  # a stack of tensors -> its axis and the tensors

    def read(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Terms:
        """Return which tensors an operation of torch will add, and with which factors."""
        stacked = self._find_stacked(name, args, kwargs)
        if stacked is not None:
            return Terms(stacked, [])
        operands = [*list_operands(args), *list_operands(kwargs.values())]
        known = [(tensor, factor) for tensor, factor in _list_terms(name, args, kwargs) if factor]
        named = {id(tensor) for tensor, _ in known}
        return Terms(known, [tensor for tensor in operands if id(tensor) not in named])

    def remember(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> None:
        """Store which tensors `torch.stack` has joined, so that `read` lists them as terms of a later sum."""
        if name == "stack" and isinstance(out, torch.Tensor):
            axis = int(_get_argument(args, kwargs, 1, "dim", 0))
            self._stacks[out] = axis % out.ndim, [*_get_argument(args, kwargs, 0, "tensors")]

    def _find_stacked(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[tuple[torch.Tensor, float]] | None:
        """Return the terms of a sum or mean over the axis of stacked tensors; None for other operations."""
        stack = _get_argument(args, kwargs, 0, "input")
        if name not in REDUCTIONS or not isinstance(stack, torch.Tensor) or stack not in self._stacks:
            return None
        axis, tensors = self._stacks[stack]
        axes = kwargs.get("axis", _get_argument(args, kwargs, 1, "dim"))
        axes = [axes] if isinstance(axes, int) else axes
        if not isinstance(axes, tuple | list) or [k % stack.ndim for k in axes] != [axis] or _keeps_axis(args, kwargs):
            return None
        return [(tensor, 1.0 / (len(tensors) if name == "mean" else 1)) for tensor in tensors]


def list_operands(values: Any) -> list[torch.Tensor]:
    """Return the tensors among the arguments, including those inside lists, as for torch.einsum."""
    flat = [part for value in values for part in (value if isinstance(value, tuple | list) else (value,))]
    return [part for part in flat if isinstance(part, torch.Tensor)]


def _list_terms(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[torch.Tensor, float]]:
    """Yield the operands that are tensors, each with its factor; 0 if the factor is not a single number."""
    first, second = _get_argument(args, kwargs, 0, "input"), _get_argument(args, kwargs, 1, "other")
    for operand, factor in zip((first, second), _find_factors(name, args, kwargs, first, second), strict=False):
        if isinstance(operand, torch.Tensor):
            yield operand, factor
    if name in ADDED_PRODUCTS:  # one of the two others may be a number
        one, other = _get_argument(args, kwargs, 1, "tensor1"), _get_argument(args, kwargs, 2, "tensor2")
        value, scale = float(kwargs.get("value", 1)), _to_number(other)
        if isinstance(one, torch.Tensor) and scale:
            yield one, value * scale if name.startswith("addcmul") else value / scale
        if isinstance(other, torch.Tensor) and name.startswith("addcmul"):
            yield other, value * _to_number(one)


def _find_factors(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], first: Any, second: Any) -> list[float]:
    """Return the factors of the first operands of an operation; [] if it does not add multiples of them."""
    alpha = float(kwargs.get("alpha", 1))
    if name in SUMS:
        return [1.0, alpha]
    if name in DIFFERENCES:
        return [1.0, -alpha]
    if name in REVERSED_DIFFERENCES:
        return [-alpha, 1.0]
    if name in PRODUCTS:
        return [_to_number(second), _to_number(first)]
    if name in QUOTIENTS:
        scale = _to_number(second)
        return [1 / scale if scale and "rounding_mode" not in kwargs else 0.0]
    if name in INTERPOLATIONS:
        weight = _get_argument(args, kwargs, 2, "weight")
        is_number = not isinstance(weight, torch.Tensor) or weight.numel() == 1
        return [1.0 - _to_number(weight), _to_number(weight)] if is_number else []
    if name in ADDED_MATRIX_PRODUCTS:
        return [float(kwargs.get("beta", 1))]
    if name in NEGATIONS:
        return [-1.0]
    is_copy = name in COPIES or name in ADDED_PRODUCTS or (name == "dropout" and _keeps_all(args, kwargs))
    return [1.0] if is_copy else []


def _get_argument(args: Sequence[Any], kwargs: Mapping[str, Any], index: int, name: str, default: Any = None) -> Any:
    return args[index] if len(args) > index else kwargs.get(name, default)


def _to_number(value: Any) -> float:
    """Return a factor as a number; 0 if it is not a single number."""
    if isinstance(value, torch.Tensor):
        return float(value.detach()) if value.numel() == 1 and not value.is_complex() else 0.0
    return float(value) if isinstance(value, int | float) else 0.0


def _keeps_axis(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    return bool(kwargs.get("keepdims", _get_argument(args, kwargs, 2, "keepdim", False)))


def _keeps_all(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Return whether torch.nn.functional.dropout(input, p, training) drops nothing."""
    p, training = _get_argument(args, kwargs, 1, "p", 0.5), _get_argument(args, kwargs, 2, "training", True)
    return not training or p == 0
