"""The monitor in transformers' and Lightning's own trainers: the same observations as in a plain loop."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mhc_core.record.result import Result
from mhc_probe import Monitor
from tests.conftest import ROOT
from tests.probe.monitor.models import Tiny, build_llama, build_optimizer, draw_batches
from tests.probe.monitor.test_monitor import read, read_frames

pytestmark = pytest.mark.full

STEPS, EVERY, RATE = 8, 3, 1e-3


class Batches(Dataset[dict[str, torch.Tensor]]):
    """Sequences of the plain loop, one an item: two make its batch."""

    def __init__(self, steps: int) -> None:
        self.ids = [row for batch in islice(draw_batches(), steps) for row in batch["input_ids"]]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.ids[index], "labels": self.ids[index]}


def build_loader(steps: int = STEPS) -> DataLoader[dict[str, torch.Tensor]]:
    return DataLoader(Batches(steps), batch_size=2)


def train_plainly(model: Any, path: Path, layers: Any, passes: int = 1) -> Result:
    """What a plain loop of the same updates gives."""
    optimizer, batches = build_optimizer(model, RATE), draw_batches()
    with Monitor(model, every=EVERY, to=path, layers=layers, updates=STEPS):
        for _ in range(STEPS):
            optimizer.zero_grad()
            for _ in range(passes):
                (model(**next(batches)).loss / passes).backward()
            optimizer.step()
    return read(path)


def assert_same(found: Result, wanted: Result) -> None:
    assert found.iterations == wanted.iterations == {0: 0, 1: 3, 2: 6, 3: 7}, "the last of 8 is observed"
    for key in ("step_loss", "step_lr", "step_act_rms", "step_grad_rms", "step_param_grad_norm", "step_grad_norm"):
        np.testing.assert_allclose(found.steps[key], wanted.steps[key], rtol=1e-5, err_msg=key)
    np.testing.assert_allclose(found.layers["grad_to_weight"], wanted.layers["grad_to_weight"], rtol=1e-5)


# ---- transformers


def build_trainer(model: Any, monitor: Monitor, folder: Path, **settings: Any) -> Any:
    from transformers import Trainer, TrainingArguments

    class InOrder(Trainer):
        """Batches in the order of the plain loop."""

        def get_train_dataloader(self) -> Any:
            return build_loader(STEPS * self.args.gradient_accumulation_steps)

    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        learning_rate=RATE,
        lr_scheduler_type="constant",
        max_grad_norm=0.0,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
        optim="adamw_torch",
        **settings,
    )
    callbacks = [monitor.to_transformers()]
    return InOrder(model=model, args=arguments, eval_dataset=Batches(2), callbacks=callbacks)


@pytest.fixture
def quiet() -> Iterator[None]:
    """transformers prints what it does."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    yield
    logging.set_verbosity_warning()


@pytest.mark.usefixtures("quiet")
def test_transformers_trainer(tmp_path: Path) -> None:
    model = build_llama()
    monitor = Monitor(model, every=EVERY, to=tmp_path / "run.ndjson", layers=model.model.layers)
    build_trainer(model, monitor, tmp_path).train()
    other = build_llama()
    wanted = train_plainly(other, tmp_path / "plain.ndjson", other.model.layers)
    assert_same(read(tmp_path / "run.ndjson"), wanted)
    end = read_frames(tmp_path / "run.ndjson")[-1]
    assert end.type == "end"
    assert end.status == "done"


@pytest.mark.usefixtures("quiet")
def test_transformers_trainer_with_evaluation_and_accumulation(tmp_path: Path) -> None:
    """It evaluates where an observation is due; the passes of an update count as one."""
    model = build_llama()
    monitor = Monitor(model, every=EVERY, to=tmp_path / "run.ndjson", layers=model.model.layers)
    settings = {"gradient_accumulation_steps": 2, "eval_strategy": "steps", "eval_steps": EVERY}
    build_trainer(model, monitor, tmp_path, **settings).train()
    result = read(tmp_path / "run.ndjson")
    assert result.iterations == {0: 0, 1: 3, 2: 6, 3: 7}
    other, batches = build_llama(), draw_batches()
    losses = [float(other(**next(batches)).loss.detach()) for _ in range(2)]
    # The trainer has the model divide its losses by the number of passes.
    assert result.steps["step_loss"][0] == pytest.approx(np.mean(losses) / 2, rel=1e-4)
    assert np.isfinite(result.steps["step_grad_rms"]).all()


# ---- Lightning


def build_module(model: Tiny) -> Any:
    from pytorch_lightning import LightningModule

    class Module(LightningModule):
        """The loss is computed outside of the model's own forward pass."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
            loss: torch.Tensor = self.model(**batch).loss
            if index == getattr(self, "breaks_at", None):
                raise MemoryError("no memory left")
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return build_optimizer(self.model, RATE)

    return Module()


def fit(monitor: Monitor, module: Any, folder: Path) -> None:
    from pytorch_lightning import Trainer

    trainer = Trainer(
        max_steps=STEPS,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[monitor.to_lightning()],
    )
    trainer.fit(module, build_loader())


@pytest.mark.filterwarnings("ignore")  # of the number of workers, of what Lightning imports
def test_lightning_trainer(tmp_path: Path) -> None:
    model, other = Tiny(), Tiny()
    monitor = Monitor(model, every=EVERY, to=tmp_path / "run.ndjson", layers=model.blocks)
    fit(monitor, build_module(model), tmp_path)
    wanted = train_plainly(other, tmp_path / "plain.ndjson", other.blocks)
    assert_same(read(tmp_path / "run.ndjson"), wanted)


@pytest.mark.filterwarnings("ignore")
def test_lightning_training_that_fails(tmp_path: Path) -> None:
    model = Tiny()
    monitor = Monitor(model, every=EVERY, to=tmp_path / "run.ndjson", layers=model.blocks)
    module = build_module(model)
    module.breaks_at = 4
    with pytest.raises(MemoryError):
        fit(monitor, module, tmp_path)
    end = read_frames(tmp_path / "run.ndjson")[-1]
    assert end.type == "end"
    assert (end.status, end.reason) == ("failed", "MemoryError: no memory left")


# ---- without either


def test_a_closure_makes_the_pass_within_the_update(tmp_path: Path) -> None:
    model, other, batches = Tiny(), Tiny(), draw_batches()
    optimizer = build_optimizer(model, RATE)

    def closure() -> float:
        optimizer.zero_grad()
        loss = model(**next(batches)).loss
        loss.backward()
        return float(loss.detach())

    with Monitor(model, every=EVERY, to=tmp_path / "run.ndjson", layers=model.blocks, updates=STEPS):
        for _ in range(STEPS):
            optimizer.step(closure)
    found, wanted = read(tmp_path / "run.ndjson"), train_plainly(other, tmp_path / "plain.ndjson", other.blocks)
    assert found.iterations == wanted.iterations
    np.testing.assert_allclose(found.steps["step_grad_norm"], wanted.steps["step_grad_norm"], rtol=1e-6)


def test_neither_package_is_imported_before_it_is_asked_for() -> None:
    names = "{'transformers', 'lightning', 'pytorch_lightning'}"
    program = f"import sys, mhc_probe; print(sorted({names} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_monitor_is_of_one_training() -> None:
    model = Tiny()
    monitor = Monitor(model, layers=model.blocks)
    monitor.start()
    monitor.stop()
    monitor.stop()
    with pytest.raises(RuntimeError, match="has been stopped"):
        monitor.start()
