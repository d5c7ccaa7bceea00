"""Monitor a model while it trains: record one pass every `every` updates, find alarms, and send both to destinations.

with Monitor(model, every=100, to="run.mhct", updates=5000) as monitor:
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
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from mhc_core.record.summary import EndStatus
from mhc_core.spec import SpecError
from mhc_probe.attachment import attach
from mhc_probe.monitor.alarm import Alarm, AlarmLog, Limits
from mhc_probe.monitor.alarm_checks import check_decay, find_alarms
from mhc_probe.monitor.alarm_history import History
from mhc_probe.monitor.callbacks import build_lightning_callback, build_transformers_callback
from mhc_probe.monitor.decay import DecayTracker
from mhc_probe.monitor.destinations import open_destinations
from mhc_probe.monitor.observation import Observation
from mhc_probe.monitor.observer import PassObserver

logger = logging.getLogger("mhc_core.monitor")


class Monitor:
    """Observes the first training pass, then one pass every `every` updates, and the last pass if it is known.

    Updates are the steps of the first optimiser with parameters of the model. If the optimiser is not one of torch,
    call `step()` once per update. Between observations the model has no hook. Passes whose gradients are accumulated
    for one update count as one pass.

    Attributes
    ----------
    iteration: number of updates so far.
    alarms: all alarms in the order of their observation. Each is also logged as a warning.
    last: the latest observation; None before the first.
    """

    def __init__(
        self,
        model: nn.Module,
        every: int = 100,
        to: Any = None,
        *,
        updates: int | None = None,
        layers: Iterable[nn.Module] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """
        Parameters
        ----------
        model, layers: the arguments of `attach`.
        every: number of updates between observations, by default 100.
        to: destination of the recording; see docs/monitor.md. By default nothing is written. The address of a live page
            is printed to the standard error.
        updates: total number of planned updates, including those before a resumption. The last one is observed too.
            With None the last update is not observed; the recording then states the number of updates after its last
            observation.
        limits: limits of the alarms, by default `Limits()`.

        Raises
        ------
        SpecError
            If `attach` does not find the model's layers, `every` or `updates` is not positive, or `to` is not a
            destination.
        """
        if not isinstance(every, int) or every < 1:
            raise SpecError("every", every, "a number of updates from 1 on")
        if updates is not None and not (isinstance(updates, int) and updates >= 1):
            raise SpecError("updates", updates, "a number of updates from 1 on, or None where it is not known")
        self.model, self.every, self.to, self.updates = model, every, to, updates
        self.iteration = 0
        self.last: Observation | None = None
        self._candidates = attach(model, layers).candidates
        self._limits = limits or Limits()
        self._alarm_log, self._history, self._decay = AlarmLog(), History(self._limits), DecayTracker()
        self._parameter_ids = {id(parameter) for parameter in model.parameters()}
        self._optimizer: Optimizer | None = None
        self._loss: torch.Tensor | float | None = None
        self._is_counted_manually = False
        self._due = 0
        self._observer: PassObserver | None = None
        self._handles: list[RemovableHandle] = []
        self._has_stopped = False
        # Only one of several processes writes, because all would write the same.
        self._is_silent = (
            torch.distributed.is_available()
            and torch.distributed.is_initialized()
            and (torch.distributed.get_rank() > 0)
        )
        self._destinations = [] if self._is_silent else open_destinations(to)

    @property
    def alarms(self) -> list[Alarm]:
        """Return all alarms of the training so far."""
        return self._alarm_log.raised

    @property
    def url(self) -> str | None:
        """Return the address of the page that shows the recording; None until a server has created it."""
        return next((destination.link for destination in self._destinations if destination.link), None)

    def __enter__(self) -> "Monitor":
        """Start to observe the training."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the recording: as failed after an exception, else as done."""
        self.stop("done" if error is None else "failed", None if error is None else f"{type(error).__name__}: {error}")

    def start(self, iteration: int = 0, updates: int | None = None) -> None:
        """Start to observe a training.

        Parameters
        ----------
        iteration: number of updates made so far, as when a training is resumed; by default 0.
        updates: total number of planned updates. Ignored if the constructor received it.

        Raises
        ------
        RuntimeError
            If the monitor was stopped: a recording belongs to one training.
        """
        if self._has_stopped:
            raise RuntimeError("this monitor has been stopped; a new one makes a trace of its own")
        self.iteration = self._due = iteration
        self.updates = updates if self.updates is None else self.updates
        for destination in self._destinations:
            destination.announce()
        if not self._is_silent and not self._handles:
            self._handles = [
                register_optimizer_step_pre_hook(self._before_update),
                register_optimizer_step_post_hook(self._after_update),
            ]
            self._start_observer()

    def stop(self, status: EndStatus = "done", reason: str | None = None) -> None:
        """End the recording with a status. Waits some seconds for slow destinations."""
        if self._has_stopped:
            return
        self._has_stopped = True
        for handle in self._handles:
            handle.remove()
        self.read()
        if self._observer is not None:
            self._observer.stop()
            self._observer = None
        for destination in self._destinations:
            destination.end(status, reason, self.alarms, self.iteration)

    def step(self, iteration: int | None = None) -> None:
        """Count one update, or set the count. From the first call on, steps of optimisers are not counted."""
        was_counted = not self._is_counted_manually and self.iteration > 0
        self._is_counted_manually = True
        self.read()
        # The optimiser's hook may have counted this update already.
        following = self.iteration if was_counted else self.iteration + 1
        self.sync(following if iteration is None else iteration)

    def sync(self, iteration: int) -> None:
        """Set the count of updates to that of the trainer."""
        self.iteration = iteration
        if self._observer is not None:
            self._observer.prepare()
        elif self._handles and not self._has_stopped and iteration >= self._due:
            self._start_observer()

    def read(self) -> None:
        """Process the recorded pass as an observation, before the update. Do nothing if no pass was recorded yet."""
        if self._observer is None or not self._observer.has_recorded:
            return
        rate = None if self._optimizer is None else float(self._optimizer.param_groups[0]["lr"])
        loss = None if self._loss is None else float(self._loss)
        observer, self._observer = self._observer, None
        self._due = self._find_next()
        try:
            observation = observer.read(self.iteration, rate, loss)
        except (RuntimeError, SpecError) as error:
            if self.last is None:  # the first observation raises the errors of `attach`
                raise
            logger.warning("after %d updates nothing could be observed: %s", self.iteration, error)
            return
        self._process_observation(observation)

    def report_loss(self, loss: torch.Tensor | float) -> None:
        """Set the loss of this pass, if the model does not return it. Costs nothing between observations."""
        if self._observer is not None:
            self._loss = loss.detach() if isinstance(loss, torch.Tensor) else loss

    def to_transformers(self) -> Any:
        """Return a `TrainerCallback` for transformers' Trainer. It starts and ends with the training."""
        return build_transformers_callback(self)

    def to_lightning(self) -> Any:
        """Return a `Callback` for Lightning's Trainer. It starts and ends with the training."""
        return build_lightning_callback(self)

    def _before_update(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Count an optimiser's update before it is made, and track its weight decay."""
        has_parameters = self._has_parameters(optimizer)
        if has_parameters:
            self._decay.add(optimizer)
        if self._is_counted(optimizer) and not _has_closure(args, kwargs):
            self._count_update()
        if has_parameters:
            self._decay.count(optimizer)

    def _after_update(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Count an update of an optimiser that takes a closure."""
        # With a closure, the pass runs inside the update.
        if self._is_counted(optimizer) and _has_closure(args, kwargs):
            self._count_update()

    def _count_update(self) -> None:
        """Read the recorded pass, and count the update unless the caller counts with `step`."""
        self.read()
        if not self._is_counted_manually:
            self.sync(self.iteration + 1)

    def _is_counted(self, optimizer: Optimizer) -> bool:
        """Return whether this is the first optimiser with parameters of the model. Other optimisers are not counted."""
        if self._optimizer is None and self._has_parameters(optimizer):
            self._optimizer = optimizer
        return optimizer is self._optimizer

    def _has_parameters(self, optimizer: Optimizer) -> bool:
        """Return whether an optimiser has parameters of the model."""
        groups = optimizer.param_groups
        return any(id(parameter) in self._parameter_ids for group in groups for parameter in group["params"])

    def _find_next(self) -> int:
        """Return the number of updates before the next observed pass."""
        following = (self.iteration // self.every + 1) * self.every
        last = following if self.updates is None else self.updates - 1
        return last if self.iteration < last < following else following

    def _start_observer(self) -> None:
        """Add hooks that observe the next training pass of the model."""
        self._loss = None
        self._observer = PassObserver(self.model, self._candidates)

    def _process_observation(self, observation: Observation) -> None:
        """Find and log the alarms of an observation, and send both to all destinations."""
        self.last = observation
        sites = self._candidates.sites
        decay = self._decay.find_decay([item for site in sites for item in site.mixing if item.requires_grad])
        found = [
            *find_alarms(observation, self._limits),
            *self._history.find_alarms(observation, sites),
            *check_decay(observation, decay, self.updates, self._limits),
        ]
        new = self._alarm_log.raise_new(observation, found)
        for alarm in new:
            logger.warning("after %d updates: %s", alarm.iteration, alarm.text)
        for destination in self._destinations:
            destination.take(observation, new)


def _has_closure(args: Any, kwargs: Any) -> bool:
    """Return whether an optimiser was called as `step(closure)`. args: its hooks' arguments, the optimiser first."""
    return kwargs.get("closure") is not None or (len(args) > 1 and args[1] is not None)
