"""Build callbacks that run a monitor within the trainers of transformers and Lightning.

Their packages are imported when a callback is built.
"""

import importlib.util
import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mhc_probe.monitor.monitor import Monitor

LIGHTNING = ("lightning.pytorch", "pytorch_lightning")  # two names of one library


def build_transformers_callback(monitor: "Monitor") -> Any:
    """Return a `TrainerCallback` that runs the monitor. The trainer's `global_step` counts the updates."""
    from transformers import TrainerCallback

    class MonitorTrainerCallback(TrainerCallback):
        """Starts, counts and ends with the trainer."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            monitor.start(state.global_step, state.max_steps if state.max_steps > 0 else None)

        def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            monitor.sync(state.global_step)

        def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            monitor.stop()

    return MonitorTrainerCallback()


def build_lightning_callback(monitor: "Monitor") -> Any:
    """Return a Lightning `Callback` that runs the monitor with the trainer's `global_step` and loss."""
    base: type = _find_lightning_callback()

    class MonitorLightningCallback(base):
        """Starts, counts and ends with the trainer."""

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            """Start the monitor with the trainer's count and plan of updates."""
            planned = trainer.estimated_stepping_batches  # inf if the training has no planned end
            monitor.start(trainer.global_step, int(planned) if math.isfinite(planned) else None)

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            monitor.sync(trainer.global_step)

        def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
            monitor.report_loss(loss)

        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            monitor.read()

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            monitor.stop()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            monitor.stop("failed", f"{type(exception).__name__}: {exception}")

    return MonitorLightningCallback()


def _find_lightning_callback() -> type:
    """Return Lightning's class `Callback` from the package that the program has imported, else an installed one."""
    name = next((name for name in LIGHTNING if name in sys.modules), None)
    if name == LIGHTNING[0] or (name is None and importlib.util.find_spec("lightning") is not None):
        from lightning.pytorch import Callback
    else:
        from pytorch_lightning import Callback
    found: type = Callback
    return found
