"""Reads the frames of a container, and checks them one by one."""

from collections.abc import Iterator
from typing import BinaryIO

from mhc_core.record.archive import open_archive
from mhc_core.record.container_check import Checker
from mhc_core.record.container_limits import ContainerLimits
from mhc_core.record.frames import AnyFrame
from mhc_core.record.manifest import Manifest
from mhc_core.record.source import TraceSource
from mhc_core.record.start import StartFrame
from mhc_core.spec import SpecError


def read_frames(
    file: BinaryIO, limits: ContainerLimits | None = None, *, only_traces: bool = False
) -> Iterator[AnyFrame]:
    """Yield the checked frames of a record file, from its start frame on. Only one is in memory at a time.

    Parameters
    ----------
    file: open for reading, and seekable.
    limits: of its size; by default those of `ContainerLimits`.
    only_traces: whether records of specs are refused; default False.

    Raises
    ------
    SpecError
        Names the invalid part: `container`, `manifest.version`, `frames[12].values.h_res`. Some faults are only found
        after the last frame, so callers must not use the frames before the iterator has ended.
    """
    checker = Checker(only_traces=only_traces)
    with open_archive(file, limits or ContainerLimits()) as archive:
        for line in archive.lines():
            frame = checker.take(line)
            if isinstance(frame, StartFrame):
                _require_same_model(frame, archive.manifest)
            yield frame
    checker.finish()


def _require_same_model(start: StartFrame, manifest: Manifest) -> None:
    """Raise SpecError unless manifest and start frame name the same model."""
    source, said = start.get_source(), manifest.model
    model = source.model if isinstance(source, TraceSource) else None
    if (model and (model.name, model.parameters)) != (said and (said.name, said.parameters)):
        wanted = "none" if model is None else f"{model.name} of {model.parameters} parameters, as frames[0] says"
        raise SpecError("manifest.model", said and said.name, wanted)
