"""`Monitor`: watches a model while it trains, one pass of every so many updates.

with Monitor(model, every=100, to="run.mhct") as monitor:
    train(model)
print(monitor.alarms)
"""

import logging
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from mhc_core.attach.monitor.alarms import Alarm, Board, Limits
from mhc_core.attach.monitor.course import Course
from mhc_core.attach.monitor.destinations import open_destinations
from mhc_core.attach.monitor.listening import Listening
from mhc_core.attach.monitor.observation import Observation
from mhc_core.attach.monitor.signs import find_signs
from mhc_core.record.summary import EndStatus
from mhc_core.spec import SpecError

logger = logging.getLogger("mhc_core.monitor")


class Monitor:
    """Observes the first training pass, and from then on one of every `every` updates.

    It counts updates: steps of the first optimiser that holds parameters of the model. Where no optimiser of torch
    makes them, `step()` counts, called once an update. Between observations the model has no hook.

    Attributes
    ----------
    iteration: updates made so far.
    alarms: what went wrong, in the order in which it was seen; each is logged as a warning too.
    last: the newest observation.
    """

    def __init__(
        self,
        model: nn.Module,
        every: int = 100,
        to: Any = None,
        *,
        layers: Iterable[nn.Module] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """
        Parameters
        ----------
        model: as `attach` takes it, and `layers` with it.
        every: updates from one observation to the next.
        to: where the trace goes; see docs/monitor.md.
        limits: from where on alarms are raised.

        Raises
        ------
        SpecError
            Where `attach` cannot tell the model's layers, `every` is not positive, or `to` is none of what it may be.
        """
        from mhc_core.attach import attach  # here, not above: that package offers this class

        if every < 1:
            raise SpecError("every", every, "a number of updates from 1 on")
        self.model, self.every, self.to = model, every, to
        self.iteration = 0
        self.last: Observation | None = None
        self._adapter = attach(model, layers).adapter
        self._limits = limits or Limits()
        self._board, self._course = Board(), Course(self._adapter.sites, self._limits)
        self._own = {id(parameter) for parameter in model.parameters()}
        self._optimizer: Optimizer | None = None
        self._loss: torch.Tensor | float | None = None
        self._is_counted_by_hand = False
        self._due = 0
        self._listening: Listening | None = None
        self._handle: RemovableHandle | None = None
        # One process of several writes; they all would write the same.
        self._is_silent = (
            torch.distributed.is_available()
            and torch.distributed.is_initialized()
            and (torch.distributed.get_rank() > 0)
        )
        self._destinations = [] if self._is_silent else open_destinations(to)

    @property
    def alarms(self) -> list[Alarm]:
        """What went wrong so far."""
        return self._board.raised

    def __enter__(self) -> "Monitor":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop("done" if error is None else "failed", None if error is None else f"{type(error).__name__}: {error}")

    def start(self, iteration: int = 0) -> None:
        """Begin to watch; `iteration` is how many updates were made before, as where training is resumed."""
        self.iteration = self._due = iteration
        if not self._is_silent:
            self._handle = register_optimizer_step_pre_hook(self._before_update)
            self._listen()

    def stop(self, status: EndStatus = "done", reason: str | None = None) -> None:
        """End the trace. Only what is on its way to a slow place is waited for, some seconds."""
        if self._handle is None:
            return
        self._handle.remove()
        self._handle = None
        self._finish()
        if self._listening is not None:
            self._listening.stop()
            self._listening = None
        for destination in self._destinations:
            destination.end(status, reason, self.alarms)

    def step(self, iteration: int | None = None) -> None:
        """Count one update, or say how many were made; from the first call on optimisers are not counted."""
        if self._handle is None:
            return
        was_counted = not self._is_counted_by_hand and self.iteration > 0
        self._is_counted_by_hand = True
        self._finish()
        # Called behind the optimiser, which has counted this one update already.
        following = self.iteration if was_counted else self.iteration + 1
        self.sync(following if iteration is None else iteration)

    def sync(self, iteration: int) -> None:
        """Take over the trainer's own count of updates."""
        self.iteration = iteration
        if self.iteration >= self._due and self._listening is None:
            self._listen()

    def tell_loss(self, loss: torch.Tensor | float) -> None:
        """The loss of this pass, where the model does not return it; costs nothing between observations."""
        if self._listening is not None:
            self._loss = loss.detach() if isinstance(loss, torch.Tensor) else loss

    def _before_update(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._is_counted(optimizer):
            self._finish()
            if not self._is_counted_by_hand:
                self.sync(self.iteration + 1)

    def _is_counted(self, optimizer: Optimizer) -> bool:
        """Whether it is the first optimiser that holds parameters of the model: others step beside it."""
        if self._optimizer is None:
            groups = optimizer.param_groups
            if any(id(parameter) in self._own for group in groups for parameter in group["params"]):
                self._optimizer = optimizer
        return optimizer is self._optimizer

    def _listen(self) -> None:
        self._loss = None
        self._listening = Listening(self.model, self._adapter)

    def _finish(self) -> None:
        """Read what was heard before this update; where no training pass was heard, go on listening."""
        if self._listening is None or not self._listening.has_heard:
            return
        rate = None if self._optimizer is None else float(self._optimizer.param_groups[0]["lr"])
        loss = None if self._loss is None else float(self._loss)
        observation = self._listening.read(self.iteration, rate, loss)
        self._listening = None
        self._due = (self.iteration // self.every + 1) * self.every
        self._take(observation)

    def _take(self, observation: Observation) -> None:
        self.last = observation
        found = [*find_signs(observation, self._limits), *self._course.find_signs(observation)]
        new = self._board.raise_new(observation, found)
        for alarm in new:
            logger.warning("after %d updates: %s", alarm.iteration, alarm.text)
        for destination in self._destinations:
            destination.take(observation, new)
