"""Define an observation: one recorded training pass, as frames and as columns."""

from dataclasses import dataclass

import numpy as np

from mhc_core.record.frames import AnyFrame, LossFrame
from mhc_core.record.result import Result


@dataclass(frozen=True)
class Observation:
    """One observed pass of training.

    Attributes
    ----------
    iteration: number of updates before the pass.
    frames: `start` to `summary`, as `Attachment.frames` returns them.
    result: the frames as columns.
    rate: the optimiser's learning rate; None if no optimiser is known.
    grad_norm: norm of the gradient of all parameters, before clipping; None without a backward pass.
    """

    iteration: int
    frames: list[AnyFrame]
    result: Result
    rate: float | None
    grad_norm: float | None

    @property
    def loss_frame(self) -> LossFrame | None:
        """Return the frame with the loss of the observed pass; None if the loss is unknown."""
        return next((frame for frame in self.frames if isinstance(frame, LossFrame)), None)

    def read_log10(self, key: str) -> np.ndarray | None:
        """Return log10 of a column (L); None if it was not measured.

        Zero gives -inf, an overflow inf, and an unknown value nan.
        """
        column = self.result.layers_log10.get(key)
        if column is None:
            return None
        found = np.array(column, dtype=np.float64)
        found[self.result.layers[key] == 0] = -np.inf
        for layer, flag in self.result.status.get(key, {}).items():
            if flag == "overflow" and not np.isfinite(column[layer]):
                found[layer] = np.inf
        return found
