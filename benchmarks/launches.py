"""How many operators some work calls: each starts work on a device, unless it only makes another view."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

# Operators that return another view of the same memory, or memory without values: no card launches anything for them.
NO_LAUNCH = {
    "_reshape_alias", "_unsafe_view", "alias", "as_strided", "detach", "diagonal", "empty", "empty_like",
    "empty_strided", "expand", "new_empty", "new_empty_strided", "permute", "select", "slice", "split",
    "split_with_sizes", "squeeze", "squeeze_", "t", "transpose", "unbind", "unfold", "unsqueeze", "view",
}  # fmt: skip


class LaunchCounter(TorchDispatchMode):
    """Counts by name the operators that are called while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.operators = Counter[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operators[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def count_launches(work: Callable[[], object]) -> int:
    """Count the operators that a function calls, without views."""
    with LaunchCounter() as counter:
        work()
    return sum_launches(counter.operators)


def sum_launches(operators: Counter[str]) -> int:
    """Return how many of the calls start work on a device."""
    return sum(count for name, count in operators.items() if name not in NO_LAUNCH)
