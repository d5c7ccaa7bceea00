"""Build the frames of a record from the coefficients of a checkpoint."""

import math
from collections.abc import Iterator

import numpy as np
import torch

from mhc_core.measure.probe import build_mixing_frame
from mhc_core.measure.run import describe_device, describe_versions
from mhc_core.metrics.mixing import measure_matrices
from mhc_core.metrics.shares import measure_shares
from mhc_core.record.columns import to_groups
from mhc_core.record.frames import AnyFrame, ForwardFrame, StartFrame
from mhc_core.record.result import Result
from mhc_core.record.source import Model, TraceSource
from mhc_core.record.start import CapturedInput
from mhc_probe.checkpoint.files import Checkpoint
from mhc_probe.checkpoint.mixing import StaticMixing
from mhc_probe.checkpoint.reach import measure_reach
from mhc_probe.checkpoint.sites import CheckpointLayer
from mhc_probe.checkpoint.summary import summarise_checkpoint

MAX_NAME = 100
TABLES = {
    "BOOL",
    "I16",
    "U16",
    "I32",
    "U32",
    "I64",
    "U64",
}  # types of tables and masks, which are not counted as parameters. Bytes may hold packed weights and are counted.


def build_frames(checkpoint: Checkpoint, sites: list[CheckpointLayer], mixing: StaticMixing) -> list[AnyFrame]:
    """Return the frames `start`, one `forward` per layer with only its mixing, `mixing` and `summary`."""
    means = {"h_post": mixing.h_post, "h_res": mixing.h_res} | ({} if mixing.h_pre is None else {"h_pre": mixing.h_pre})
    frames: list[AnyFrame] = [_build_start(checkpoint, sites, mixing), *_build_layers(means)]
    frames.append(build_mixing_frame(means, {}, {}, np.float64))
    result = Result()
    for frame in frames:
        result.add(frame)
    return [*frames, summarise_checkpoint(mixing, measure_reach(sites, mixing.h_res.shape[1]), result)]


def _build_start(checkpoint: Checkpoint, sites: list[CheckpointLayer], mixing: StaticMixing) -> StartFrame:
    """Return the start frame: model, versions, sizes and branches, as far as the checkpoint has them."""
    parameters = sum(math.prod(entry.shape) for entry in checkpoint.entries.values() if entry.dtype not in TABLES)
    version = checkpoint.config.get("transformers_version")
    return StartFrame(
        source=TraceSource(
            model=Model(name=_name_model(checkpoint), parameters=parameters),
            versions={"transformers": version[:MAX_NAME]} if isinstance(version, str) else {},
        ),
        device=describe_device(torch.device("cpu")),
        versions=describe_versions(),
        layers=len(sites),
        streams=mixing.h_res.shape[1],
        blocks=[site.branch for site in sites],
        input=CapturedInput(samples=0),
    )


def _build_layers(means: dict[str, np.ndarray]) -> Iterator[ForwardFrame]:
    """Yield a frame for each layer, with its coefficients and the metrics that need no signal."""
    columns = means | measure_matrices(means["h_res"]) | measure_shares(means)
    for layer, group in enumerate(to_groups(columns, np.float64)):
        yield ForwardFrame(layer=layer, **group)


def _name_model(checkpoint: Checkpoint) -> str:
    """Return the class that the config names, or the checkpoint's own name."""
    named = checkpoint.config.get("architectures")
    if isinstance(named, list) and named and isinstance(named[0], str) and named[0].isidentifier():
        return named[0][:MAX_NAME]
    return checkpoint.title
