"""Track which tensors each tensor was computed from. Stores ids, and keeps no tensor alive."""

from collections.abc import Iterable

import torch
from torch.utils.weak import WeakIdKeyDictionary


class Lineage:
    """Numbers the tensors that operations take and return, and stores the sources of each. A result has a higher id.

    A tensor that is changed in place gets a new id, like a new tensor.
    """

    def __init__(self) -> None:
        self._ids = WeakIdKeyDictionary()
        self._sources: list[tuple[int, ...]] = []  # for each id, the ids of its sources

    def find_id(self, tensor: torch.Tensor) -> int:
        """Return the id of a tensor in its current version. A tensor that no operation has returned has no sources."""
        found = self._ids.get(tensor)
        return self._assign_id(tensor, ()) if found is None else int(found)

    def record(self, made: Iterable[torch.Tensor], sources: Iterable[torch.Tensor]) -> None:
        """Record that an operation made these tensors from those sources."""
        ids = tuple({self.find_id(source) for source in sources})
        for tensor in made:
            self._assign_id(tensor, ids)

    def is_made_of(self, made: int, source: int) -> bool:
        """Return whether the tensor with id `made` is, or was computed from, the tensor with id `source`."""
        waiting, seen = [made], {made}
        while waiting:
            current = waiting.pop()
            if current == source:
                return True
            following = {k for k in self._sources[current] if k >= source} - seen
            seen |= following
            waiting += following
        return False

    def _assign_id(self, tensor: torch.Tensor, sources: tuple[int, ...]) -> int:
        """Give a tensor the next id, and return it."""
        self._sources.append(sources)
        self._ids[tensor] = len(self._sources) - 1
        return len(self._sources) - 1
