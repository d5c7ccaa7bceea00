"""Hooks on a model for the time of one training pass, and none before or after it."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from mhc_core.attach.adapter import Adapter
from mhc_core.attach.attachment import Attachment
from mhc_core.attach.monitor.observation import Observation
from mhc_core.measure.probe import build_loss_frame
from mhc_core.metrics.gradients import total_norm
from mhc_core.record.frames import AnyFrame, BackwardFrame, ForwardFrame, LossFrame, SimilarityFrame
from mhc_core.record.result import Result


class Listening:
    """Hears the next pass that builds a graph; those without one, as of an evaluation, go by unheard.

    Of a step of several passes it hears the first alone. Nothing that it does changes what the model computes.
    """

    def __init__(self, model: nn.Module, adapter: Adapter) -> None:
        self.model, self.adapter = model, adapter
        self.has_ended = False
        self.has_heard = False
        self._has_begun = False
        self._attachment: Attachment | None = None
        self._norms: list[torch.Tensor] = []
        self._handles: list[RemovableHandle] = [
            model.register_forward_pre_hook(self._before, prepend=True),
            model.register_forward_hook(self._after),
            *(parameter.register_hook(self._keep_norm) for parameter in _find_ends(model, adapter)),
        ]
        self._attach()

    def stop(self) -> None:
        """Take all hooks away; more than once changes nothing."""
        self.has_ended = True
        self._detach()
        for handle in self._handles:
            handle.remove()

    def read(self, iteration: int, rate: float | None, loss: float | None) -> Observation:
        """What was heard, which must be something. `loss` stands in where the model does not return its own."""
        self.stop()
        assert self._attachment is not None
        frames = self._attachment.frames()
        if loss is not None and not any(isinstance(frame, LossFrame) for frame in frames):
            frames.insert(_count_upward(frames), build_loss_frame(loss))
        result = Result()
        for frame in frames:
            result.add(frame)
        return Observation(iteration, frames, result, rate, self._join_norms(result))

    def _before(self, model: nn.Module, inputs: Any) -> None:
        if self.has_heard:
            self.stop()  # its own way down is over, as a rule; if not, what came of it is kept
        elif self._has_begun or not torch.is_grad_enabled():
            # A pass before was broken off by an error. Hooks that are made within a pass would hear a part of it.
            self._detach()
            self._attachment = None
        else:
            self._has_begun = self._attachment is not None

    def _after(self, model: nn.Module, inputs: Any, output: Any) -> None:
        if self.has_ended or self.has_heard:
            return
        if self._attachment is None:
            self._attach()
        else:
            self.has_heard = True

    def _attach(self) -> None:
        self._attachment, self._has_begun = Attachment(self.model, self.adapter), False
        self._attachment.__enter__()

    def _detach(self) -> None:
        if self._attachment is not None:
            self._attachment.__exit__(None, None, None)

    @torch.no_grad()
    def _keep_norm(self, grad: torch.Tensor) -> None:
        self._norms.append(total_norm([grad]))

    def _join_norms(self, result: Result) -> float | None:
        """Norm over branches, mixing and all other parameters."""
        if "param_grad_norm" not in result.layers:
            return None
        if result.status.get("param_grad_norm"):
            return float("nan")
        branches = result.layers["param_grad_norm"].astype(np.float64)
        mixing = np.nan_to_num(result.layers.get("mixing_grad_norm", np.zeros(1)))  # nan where it takes no gradient
        ends = np.array([float(norm) for norm in self._norms])
        return float(np.linalg.norm(np.concatenate([branches, mixing, ends])))


def _find_ends(model: nn.Module, adapter: Adapter) -> list[nn.Parameter]:
    """Parameters that belong to no layer, as those of embedding and read-out, and take a gradient."""
    inner = {id(item) for site in adapter.sites for item in (*site.weights, *site.mixing)}
    return [item for item in model.parameters() if item.requires_grad and id(item) not in inner]


def _count_upward(frames: list[AnyFrame]) -> int:
    """Where the way up ends: the place of the loss."""
    down = next((place for place, frame in enumerate(frames) if isinstance(frame, BackwardFrame)), None)
    if down is not None:
        return down
    up = [place for place, frame in enumerate(frames) if isinstance(frame, ForwardFrame | SimilarityFrame)]
    return up[-1] + 1
