"""Read the static mixing of a stored model from its weights alone, in seconds and without building the model.

result = read_checkpoint(Path("model.safetensors"))
"""

from pathlib import Path

from mhc_core.record.frames import AnyFrame
from mhc_core.record.result import Result
from mhc_probe.checkpoint.comparison import Comparison, compare_checkpoints
from mhc_probe.checkpoint.reading import read_stored
from mhc_probe.checkpoint.record import build_frames

__all__ = ["Comparison", "compare_checkpoints", "read_checkpoint", "read_checkpoint_frames"]


def read_checkpoint(path: Path) -> Result:
    """Return the mixing of a checkpoint as columns. See `read_checkpoint_frames`."""
    result = Result()
    for frame in read_checkpoint_frames(path):
        result.add(frame)
    return result


def read_checkpoint_frames(path: Path) -> list[AnyFrame]:
    """Return the frames of a checkpoint's record: `start`, `forward` of each layer, `mixing`, `summary`.

    Parameters
    ----------
    path: a safetensors file, an index of several, or a folder that holds either, with config.json in the same folder.

    Raises
    ------
    SpecError
        If it is not a complete checkpoint of a known family of Hyper-Connections.
    OSError
        If a file cannot be read.
    """
    return build_frames(*read_stored(path))
