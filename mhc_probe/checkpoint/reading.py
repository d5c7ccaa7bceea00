"""Read the connections of a checkpoint and their static mixing."""

from pathlib import Path
from typing import NamedTuple

from mhc_core.spec import SpecError
from mhc_probe.checkpoint.files import Checkpoint, open_checkpoint
from mhc_probe.checkpoint.mixing import StaticMixing, read_mixing, read_settings
from mhc_probe.checkpoint.sites import CheckpointLayer, find_sites


class StoredMixing(NamedTuple):
    """The contents of a checkpoint, its connections in the order of the layers, and their coefficients."""

    checkpoint: Checkpoint
    sites: list[CheckpointLayer]
    mixing: StaticMixing


def read_stored(path: Path) -> StoredMixing:
    """Read a checkpoint: its tensors, layers and mixing. Raises the errors of `read_checkpoint_frames`."""
    checkpoint = open_checkpoint(path)
    sites = find_sites(checkpoint.entries, _count_blocks(checkpoint.config.get("num_hidden_layers")))
    return StoredMixing(checkpoint, sites, read_mixing(sites, read_settings(checkpoint.config)))


def _count_blocks(blocks: object) -> int | None:
    """Return the number of blocks in the config, or None; raise SpecError if it is not a positive whole number."""
    if blocks is None or (type(blocks) is int and blocks >= 1):
        return blocks
    raise SpecError("config.json: num_hidden_layers", blocks, "a whole number from 1")
