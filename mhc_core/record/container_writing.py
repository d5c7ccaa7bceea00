"""Writes the frames of a record to a container."""

from collections.abc import Iterable
from typing import BinaryIO

from mhc_core import __version__
from mhc_core.record.archive import write_archive
from mhc_core.record.codec import encode_frame
from mhc_core.record.frames import AnyFrame, StartFrame
from mhc_core.record.manifest import FORMAT, PROTOCOL, VERSION, Manifest, ManifestModel
from mhc_core.record.source import TraceSource


def write_frames(file: BinaryIO, frames: Iterable[AnyFrame]) -> None:
    """Write the frames of a record, from `start` to `summary`, to a file. The same frames give the same bytes."""
    kept = list(frames)
    lines = [encode_frame(frame, "", index) for index, frame in enumerate(kept)]
    manifest = Manifest(
        format=FORMAT,
        version=VERSION,
        protocol=PROTOCOL,
        mhc_scope=__version__,
        model=_find_model(kept),
        frames=len(lines),
        size_bytes=sum(map(len, lines)),
    )
    write_archive(file, manifest, lines)


def _find_model(frames: list[AnyFrame]) -> ManifestModel | None:
    """Return the model that a trace was recorded from, for the manifest; None for a run."""
    start = frames[0]
    assert isinstance(start, StartFrame), "a record begins with its start frame"
    source = start.get_source()
    if not isinstance(source, TraceSource):
        return None
    return ManifestModel(name=source.model.name, parameters=source.model.parameters)
