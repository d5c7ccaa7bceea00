"""Containers: files `*.mhct` with one record each, to keep, to mail, or to post to a server.

A container is a zip of `manifest.json` and `frames.ndjson`, the lines of the protocol; docs/protocol.md describes both.
Reading executes nothing in the file, checks all values, and needs memory for one frame.
"""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from mhc_core import __version__
from mhc_core.record.archive import ContainerLimits, open_archive, write_archive
from mhc_core.record.codec import encode_frame
from mhc_core.record.container_check import Checker
from mhc_core.record.frames import AnyFrame, StartFrame
from mhc_core.record.manifest import FORMAT, PROTOCOL, VERSION, Manifest, ManifestModel
from mhc_core.record.publishing import PublishError, publish
from mhc_core.record.source import Model, TraceSource
from mhc_core.spec import SpecError

__all__ = ["Checker", "ContainerLimits", "PublishError", "publish", "read_frames", "write_frames"]


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
                _require_same_model(frame, archive.manifest.model)
            yield frame
    checker.finish()


def _require_same_model(start: StartFrame, said: ManifestModel | None) -> None:
    """Raise SpecError unless the manifest names the model of the start frame."""
    model = _find_model(start)
    if (model and (model.name, model.parameters)) != (said and (said.name, said.parameters)):
        wanted = "none" if model is None else f"{model.name} of {model.parameters} parameters, as frames[0] says"
        raise SpecError("manifest.model", said and said.name, wanted)


def write_frames(file: BinaryIO, frames: Iterable[AnyFrame]) -> None:
    """Write the frames of a record, from `start` to `summary`, to a file. The same frames give the same bytes."""
    start, *others = frames
    assert isinstance(start, StartFrame), "a record begins with its start frame"
    model = _find_model(start)
    lines = [encode_frame(frame, "", index) for index, frame in enumerate((start, *others))]
    manifest = Manifest(
        format=FORMAT,
        version=VERSION,
        protocol=PROTOCOL,
        mhc_scope=__version__,
        model=None if model is None else ManifestModel(name=model.name, parameters=model.parameters),
        frames=len(lines),
        size_bytes=sum(map(len, lines)),
    )
    write_archive(file, manifest, lines)


def _find_model(start: StartFrame) -> Model | None:
    """Return the model that a trace was recorded from; None for a run."""
    source = start.get_source()
    return source.model if isinstance(source, TraceSource) else None
