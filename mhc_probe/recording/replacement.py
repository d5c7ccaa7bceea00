"""Replace one tensor by another in all operations, for edits of a tensor that the model's code keeps in a variable."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, _get_current_function_mode

from mhc_probe.recording.values import replace_tensor


class Replacement(TorchFunctionMode):
    """Replaces a tensor from `start` to `stop`, which must also run if the model raises: see `OperationTracker`."""

    def __init__(self) -> None:
        super().__init__()
        self._pair: tuple[torch.Tensor, torch.Tensor] | None = None
        self._is_active = False

    @property
    def original(self) -> torch.Tensor | None:
        """Return the tensor to replace; None if there is none."""
        return None if self._pair is None else self._pair[0]

    def prepare(self, original: torch.Tensor, edited: torch.Tensor) -> None:
        """Set the tensor to replace, and its replacement."""
        self._pair = original, edited

    def start(self) -> None:
        """Start replacing the tensor in the arguments of all operations."""
        self._is_active = True
        self.__enter__()

    def stop(self) -> None:
        """Stop replacing the tensor, and forget the pair."""
        if self._is_active:
            self._is_active = False
            # A recomputation that stops early has removed the modes that were entered in it.
            if _get_current_function_mode() is self:
                self.__exit__(None, None, None)
        self._pair = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation with the replacement in place of the tensor."""
        if self._pair is None:
            return func(*args, **(kwargs or {}))
        return func(*replace_tensor(tuple(args), *self._pair), **replace_tensor(kwargs or {}, *self._pair))
