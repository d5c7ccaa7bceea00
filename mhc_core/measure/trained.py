"""Files with trained stacks (weights and training steps), so that a run of the same stack with other edits need not
train.

Edits do not act on training. Runs that differ only in edits, an atlas and a lens need the same trained stack: the first
one stores it, and the others read it. Results are the same to the last bit, because the name of a file is a hash of
everything on which training depends: the spec without edits, versions, device and number of threads.

A file is a zip of numpy arrays: one for each parameter, and the frames of all steps as lines of JSON.
"""

import hashlib
import os
import sys
from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import torch

from mhc_core.measure.training import train
from mhc_core.record import codec
from mhc_core.record.stages import StepFrame
from mhc_core.record.values import Values
from mhc_core.spec import RunSpec
from mhc_core.stack import Stack

STEPS, UPDATES = ":steps", ":updates"  # names that no parameter can have
TOTAL_BYTES = 2**29  # largest size of all files; the least recently used ones are removed first
FILE_BYTES = 2**26  # larger stacks are not stored


class TrainedStacks:
    """A folder of trained stacks. Several processes may use it: a file is written under another name, then renamed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def train(self, stack: Stack) -> Generator[StepFrame, None, int]:
        """Train a stack in place as `train` does, or read its weights and frames from a file; yield the same frames."""
        path = self.folder / f"{name_training(stack.spec, torch.get_num_threads())}-{_name_device(stack)}.npz"
        try:
            frames, done = _load(stack, path)
        except (FileNotFoundError, NotADirectoryError):
            frames = []
            training = train(stack)
            while True:
                try:
                    frames.append(next(training))
                except StopIteration as end:
                    done = end.value
                    break
                yield frames[-1]
            try:
                self._save_stack(stack, path, frames, done)
            except OSError as error:  # such as a full disk; the run itself does not need the file
                print(f"a trained stack is not stored in {self.folder}: {error}", file=sys.stderr)
            return done
        yield from frames
        return done

    def has(self, spec: RunSpec, threads: int) -> bool:
        """Return whether the trained stack of a spec is stored for this number of threads, for any device."""
        return any(self.folder.glob(f"{name_training(spec, threads)}-*.npz"))

    def _save_stack(self, stack: Stack, path: Path, frames: list[StepFrame], done: int) -> None:
        """Write frames and weights to a file atomically; do nothing if it would exceed `FILE_BYTES`."""
        lines = b"".join(codec.encode_frame(frame, "", index) for index, frame in enumerate(frames))
        weights = {name: _to_array(parameter) for name, parameter in stack.named_parameters()}
        if len(lines) + sum(array.nbytes for array in weights.values()) > FILE_BYTES:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        arrays = {STEPS: np.frombuffer(lines, dtype=np.uint8), UPDATES: np.array(done)}
        with NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as part:
            try:
                np.savez(part, allow_pickle=False, **weights, **arrays)
                part.flush()
                os.replace(part.name, path)
            except OSError:
                os.unlink(part.name)
                raise
        self._remove_oldest()

    def _remove_oldest(self) -> None:
        """Remove the oldest files until the others fit `TOTAL_BYTES`. Another process may have removed a file."""
        total = 0
        for path in sorted(self.folder.glob("*.npz"), key=_read_time, reverse=True):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
                if total > TOTAL_BYTES:
                    path.unlink()


def name_training(spec: RunSpec, threads: int) -> str:
    """Return a text that identifies everything on which the trained stack of a spec depends, except the device."""
    parts = (spec.model_copy(update={"edits": ()}).id, torch.__version__, np.__version__, str(threads))
    return _hash_parts(*parts)[:32]


def _name_device(stack: Stack) -> str:
    """Return a short hash of the stack's device (of a GPU, its model), for the name of a file."""
    device = next(stack.parameters()).device
    return _hash_parts(torch.cuda.get_device_name(device) if device.type == "cuda" else device.type)[:8]


def _hash_parts(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@torch.no_grad()
def _load(stack: Stack, path: Path) -> tuple[list[StepFrame], int]:
    """Set the stack's weights from a file; return the frames of its training steps and the number of updates."""
    with np.load(path, allow_pickle=False) as stored:
        frames = [_read_step(line, stack) for line in stored[STEPS].tobytes().splitlines()]
        for name, parameter in stack.named_parameters():
            parameter.copy_(torch.from_numpy(stored[name]).view(parameter.dtype).view(parameter.shape))
        done = int(stored[UPDATES])
    with suppress(FileNotFoundError):
        path.touch()
    return frames, done


def _read_step(line: bytes, stack: Stack) -> StepFrame:
    """Parse the frame of a training step, with its arrays in the type in which they were measured."""
    frame = codec.decode_line(line)
    assert isinstance(frame, StepFrame)
    cast = np.float64 if stack.spec.dtype == "float64" else np.float32

    def restore_type(values: Values) -> Values:
        return {key: value.astype(cast) if isinstance(value, np.ndarray) else value for key, value in values.items()}

    before = None if frame.input is None else restore_type(frame.input)
    return replace(frame, values=restore_type(frame.values), log10=restore_type(frame.log10), input=before)


def _to_array(parameter: torch.Tensor) -> np.ndarray:
    """Return the values of a parameter for a file; bfloat16 values as their bits, because numpy has no bfloat16."""
    values = parameter.detach().cpu()
    return (values.view(torch.int16) if values.dtype == torch.bfloat16 else values).numpy()


def _read_time(path: Path) -> float:
    """Return the modification time of a file, in seconds; 0 if another process has removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
