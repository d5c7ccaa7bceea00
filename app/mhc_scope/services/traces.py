"""Import uploaded recordings: read them in bounded memory, check all frames, and store them as records like runs."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mhc_core.record.codec import encode_frame
from mhc_core.record.container import ContainerLimits, read_frames
from mhc_core.record.frames import EndFrame, StartFrame
from mhc_core.record.source import Source
from mhc_core.spec import SpecError
from mhc_scope import limits
from mhc_scope.services.encoded_files import write_chunks
from mhc_scope.services.errors import InvalidTraceError, QueueFullError
from mhc_scope.services.identity import ClientIdentity
from mhc_scope.services.policy import Policy
from mhc_scope.services.runs import ID_LENGTH
from mhc_scope.services.storage import Storage
from mhc_scope.store.runs import RunStore

HEAD = b'{"run":"'  # beginning of every line
MAX_UPLOADS = 4  # largest number of recordings that are read at the same time; each has one frame in memory


@dataclass(frozen=True)
class AddedRecording:
    """The result of uploading a recording. `frames` does not include `end`, which the store adds."""

    record_id: str
    frames: int
    is_new: bool


@dataclass(frozen=True)
class UploadedRecording:
    """An uploaded recording whose frames are checked and written to a file. `end` is how its training ended."""

    record_id: str
    source: Source
    frames: int
    end: EndFrame


class Traces:
    """Imports recordings, a bounded number at a time."""

    def __init__(self, store: RunStore, policy: Policy, storage: Storage) -> None:
        self._store, self._policy, self._storage = store, policy, storage
        self._limits = ContainerLimits(size_bytes=limits.MAX_TRACE_BYTES)
        self._open = 0

    async def add(self, chunks: AsyncIterator[bytes], client: ClientIdentity) -> AddedRecording:
        """Check and store an uploaded recording, given as chunks of bytes, or find it if it is known.

        Raises
        ------
        RefusalError
            If it is not a complete recording, the client's quota is used up, or too many others are being read.
        """
        await self._storage.require_space()
        await self._policy.require_storage(client)
        self._require_memory()
        self._open += 1
        try:
            with tempfile.TemporaryFile() as packed, tempfile.TemporaryFile() as unpacked:
                await write_chunks(packed, chunks)
                return await self._store_checked(packed, unpacked, client)
        finally:
            self._open -= 1

    async def require_capacity(self, client: ClientIdentity) -> None:
        """Refuse an upload if too many recordings are being read, or the client's quota is used up."""
        self._require_memory()
        await self._policy.require_storage(client)

    def _require_memory(self) -> None:
        """Refuse an upload if `MAX_UPLOADS` recordings are being read."""
        if self._open >= MAX_UPLOADS:
            raise QueueFullError(f"The server is reading {self._open} traces, its limit. Try again shortly.")

    async def _store_checked(self, packed: BinaryIO, unpacked: BinaryIO, client: ClientIdentity) -> AddedRecording:
        """Check an uploaded recording and store it, unless it is known."""
        try:
            trace = await asyncio.to_thread(unpack, packed, unpacked, self._limits)
        except SpecError as error:
            raise InvalidTraceError(error) from None
        known = await self._store.get(trace.record_id)
        if known is not None:
            await self._store.touch(known)
            return AddedRecording(trace.record_id, trace.frames, False)
        await self._storage.require_space()  # others may have filled the disk while this recording was read
        lines = _name_lines(unpacked, trace.record_id)
        end = trace.end
        is_new = await self._store.add_record(
            trace.record_id, trace.source, lines, end.status, end.reason, client.key, client.address
        )
        return AddedRecording(trace.record_id, trace.frames, is_new)


def unpack(packed: BinaryIO, unpacked: BinaryIO, limits: ContainerLimits) -> UploadedRecording:
    """Check the container of a recording and write its frames as lines, without an id. One is in memory at a time.

    Raises
    ------
    SpecError
        If the container is not valid. The error names the field.
    """
    digest, count, source, end = hashlib.sha256(), 0, None, EndFrame(status="done", reason=None)
    for frame in read_frames(packed, limits, only_traces=True):
        if isinstance(frame, EndFrame):
            end = frame
            continue
        if isinstance(frame, StartFrame):
            source = frame.get_source()
        line = encode_frame(frame, "", count)
        digest.update(line)
        unpacked.write(line)
        count += 1
    assert source is not None, "a record that was read begins with its start frame"
    if end.status != "done":  # the same frames of a training that succeeded are another recording
        digest.update(encode_frame(end, "", count))
    return UploadedRecording(digest.hexdigest()[:ID_LENGTH], source, count, end)


def _name_lines(unpacked: BinaryIO, record_id: str) -> Iterator[bytes]:
    """Yield the lines that `unpack` has written, with the id of the recording."""
    unpacked.seek(0)
    for line in unpacked:
        assert line.startswith(HEAD + b'"'), "lines were written without an id"
        yield HEAD + record_id.encode() + line[len(HEAD) :]
