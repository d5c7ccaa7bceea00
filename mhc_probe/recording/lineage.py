"""Track which tensors each tensor was computed from. Stores numbers, and keeps no tensor alive."""

from collections.abc import Iterable

import torch
from torch.utils.weak import WeakIdKeyDictionary


class Lineage:
    """Numbers every tensor that an operation takes or returns. A result has a higher number than its operands.

    A tensor that is changed in place gets a new number, like a new tensor.
    """

    def __init__(self) -> None:
        self._numbers = WeakIdKeyDictionary()
        self._sources: list[tuple[int, ...]] = []  # for each number, the numbers of its sources

    def number(self, tensor: torch.Tensor) -> int:
        """Return the number of a tensor in its current version. A tensor of unknown origin has no sources."""
        found = self._numbers.get(tensor)
        return self._assign_number(tensor, ()) if found is None else int(found)

    def record(self, made: Iterable[torch.Tensor], sources: Iterable[torch.Tensor]) -> None:
        """Record that an operation made these tensors from those sources."""
        numbers = tuple({self.number(source) for source in sources})
        for tensor in made:
            self._assign_number(tensor, numbers)

    def is_made_of(self, number: int, source: int) -> bool:
        """Return whether the tensor of the first number is the second's, or was computed from it."""
        waiting, seen = [number], {number}
        while waiting:
            current = waiting.pop()
            if current == source:
                return True
            following = {k for k in self._sources[current] if k >= source} - seen
            seen |= following
            waiting += following
        return False

    def _assign_number(self, tensor: torch.Tensor, sources: tuple[int, ...]) -> int:
        """Give a tensor the next number, and return it."""
        self._sources.append(sources)
        self._numbers[tensor] = len(self._sources) - 1
        return len(self._sources) - 1
