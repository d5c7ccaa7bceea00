"""A monitor as a callback of other trainers. Their packages are imported where the callback is asked for."""

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mhc_core.attach.monitor.monitor import Monitor

LIGHTNING = ("lightning.pytorch", "pytorch_lightning")  # one library under two names


def build_transformers_callback(monitor: "Monitor") -> Any:
    """A `TrainerCallback`: the trainer's `global_step` is the count of updates."""
    base: type = importlib.import_module("transformers").TrainerCallback

    class MonitorCallback(base):
        """Starts, counts and ends with the trainer."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            monitor.start(state.global_step)

        def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            monitor.sync(state.global_step)

        def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            monitor.stop()

    return MonitorCallback()


def build_lightning_callback(monitor: "Monitor") -> Any:
    """A Lightning `Callback`: its trainer's `global_step` is the count of updates, and its loss is told."""
    # A program that has imported one of the two trains with it.
    name = next((name for name in LIGHTNING if name in sys.modules), None)
    base: type = _import_first([name] if name else LIGHTNING).Callback

    class MonitorCallback(base):
        """Starts, counts and ends with the trainer."""

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            monitor.start(trainer.global_step)

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            monitor.sync(trainer.global_step)

        def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
            monitor.tell_loss(loss)

        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            monitor.read()

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            monitor.stop()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            monitor.stop("failed", f"{type(exception).__name__}: {exception}")

    return MonitorCallback()


def _import_first(names: Any) -> Any:
    """The first module that is installed; the error of the last where none is."""
    *others, last = names
    for name in others:
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            return importlib.import_module(name)
    return importlib.import_module(last)
