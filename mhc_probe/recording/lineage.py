"""Which tensor was made of which others, as operations run. Keeps numbers, and no tensor alive."""

from collections.abc import Iterable

import torch
from torch.utils.weak import WeakIdKeyDictionary


class Lineage:
    """Numbers every tensor that an operation takes or returns: what is made of others has a higher number than they.

    A tensor that is changed in place gets a new number, as if it were another one.
    """

    def __init__(self) -> None:
        self._numbers = WeakIdKeyDictionary()
        self._sources: list[tuple[int, ...]] = []  # of each number, those of the tensors that it was made of

    def number(self, tensor: torch.Tensor) -> int:
        """The number of a tensor as it is now; one that no operation here has made is made of nothing."""
        found = self._numbers.get(tensor)
        return self._assign(tensor, ()) if found is None else int(found)

    def record(self, made: Iterable[torch.Tensor], sources: Iterable[torch.Tensor]) -> None:
        """Tensors that were made of others just now."""
        numbers = tuple({self.number(source) for source in sources})
        for tensor in made:
            self._assign(tensor, numbers)

    def is_made_of(self, number: int, source: int) -> bool:
        """Whether the tensor of one number is that of the other, or was made of it."""
        waiting, seen = [number], {number}
        while waiting:
            current = waiting.pop()
            if current == source:
                return True
            following = {k for k in self._sources[current] if k >= source} - seen
            seen |= following
            waiting += following
        return False

    def _assign(self, tensor: torch.Tensor, sources: tuple[int, ...]) -> int:
        self._sources.append(sources)
        self._numbers[tensor] = len(self._sources) - 1
        return len(self._sources) - 1
