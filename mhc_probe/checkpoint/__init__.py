"""Read the static mixing of a stored model from its weights alone, in seconds and without building the model.

result = read_checkpoint(Path("model.safetensors"))
"""

from pathlib import Path

from mhc_core.record.frames import AnyFrame
from mhc_core.record.result import Result
from mhc_core.spec import SpecError
from mhc_probe.checkpoint.files import open_checkpoint
from mhc_probe.checkpoint.mixing import read_mixing, read_settings
from mhc_probe.checkpoint.record import build_frames
from mhc_probe.checkpoint.sites import find_sites

__all__ = ["read_checkpoint", "read_checkpoint_frames"]


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
        If it is no complete checkpoint of a known family of Hyper-Connections.
    OSError
        If a file cannot be read.
    """
    checkpoint = open_checkpoint(path)
    sites = find_sites(checkpoint.entries, _count_blocks(checkpoint.config.get("num_hidden_layers")))
    return build_frames(checkpoint, sites, read_mixing(sites, read_settings(checkpoint.config)))


def _count_blocks(blocks: object) -> int | None:
    if blocks is None or (type(blocks) is int and blocks >= 1):
        return blocks
    raise SpecError("config.json: num_hidden_layers", blocks, "a whole number from 1")
