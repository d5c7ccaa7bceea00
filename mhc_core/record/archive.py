"""The zip file of a record: writes its two members reproducibly, and reads them with a limit on each size."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from mhc_core.record.manifest import Manifest, parse_manifest
from mhc_core.spec import SpecError

MANIFEST, FRAMES = "manifest.json", "frames.ndjson"
WHOLE = "a whole .mhct file, a zip of manifest.json and frames.ndjson"
NO_TRACE = "This file isn't a trace. Choose a .mhct file."

MAX_DIRECTORY_BYTES = 4096  # zip directory of the two members, with room for extra fields of other programs
MAX_MANIFEST_BYTES = 16_384
RATIO_FREE_BYTES = 1_000_000

_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed time, so that the same frames give the same bytes
_END, _END_FORMAT = b"PK\x05\x06", "<4s4H2LH"
_END_BYTES, _LOCATOR, _LOCATOR_BYTES = 22, b"PK\x06\x07", 20
_READ_BYTES = 2**18
# Exceptions that zipfile and zlib raise for damaged files.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True)
class ContainerLimits:
    """Limits of the frames of one container. A reader stops at the first that is exceeded, which bounds its memory.

    Attributes
    ----------
    size_bytes: size of all lines together, unpacked.
    line_bytes: size of one line with its newline.
    lines: number of lines.
    ratio: unpacked bytes for each packed byte; only checked if there are more than `RATIO_FREE_BYTES`.
    """

    size_bytes: int = 2**30
    line_bytes: int = 2**23
    lines: int = 100_000
    ratio: int = 200


def write_archive(file: BinaryIO, manifest: Manifest, lines: Sequence[bytes]) -> None:
    """Write a record's manifest and frames as the two members of a zip file."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_build_entry(MANIFEST), manifest.model_dump_json(indent=1))
        with archive.open(_build_entry(FRAMES), "w", force_zip64=False) as member:
            member.writelines(lines)


def _build_entry(name: str) -> zipfile.ZipInfo:
    """Return the zip entry of a member with a fixed time, so that the same record gives the same bytes."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    return info


class Archive:
    """An open record file.

    Attributes
    ----------
    manifest: the list of its contents.
    """

    def __init__(self, archive: zipfile.ZipFile, limits: ContainerLimits) -> None:
        self._archive, self._limits = archive, limits
        self._members = _find_members(archive)
        self.manifest = parse_manifest(self._read_manifest())

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the frames with their newlines. Only one line is in memory at a time.

        Raises
        ------
        SpecError
            If a limit is exceeded, a line is cut off, or the number of lines or bytes differs from the manifest.
        """
        size, count, limits = 0, 0, self._limits
        with self._archive.open(self._members[FRAMES]) as member:
            reader = io.BufferedReader(member, _READ_BYTES)  # type: ignore[type-var]
            while line := reader.readline(limits.line_bytes + 1):
                self._require_line(line, count)
                size, count = size + len(line), count + 1
                if size > limits.size_bytes:
                    raise SpecError(FRAMES, f"more than {limits.size_bytes} bytes", f"at most {limits.size_bytes}")
                if count > limits.lines:
                    raise SpecError(FRAMES, f"more than {limits.lines} lines", f"at most {limits.lines}")
                yield line
        self._require_counts(count, size)

    def _require_line(self, line: bytes, index: int) -> None:
        """Raise SpecError if the line of a frame is too long or does not end with a newline."""
        if len(line) > self._limits.line_bytes:
            raise SpecError(f"frames[{index}]", "a longer line", f"at most {self._limits.line_bytes} bytes")
        if not line.endswith(b"\n"):
            raise SpecError(f"frames[{index}]", "a line that is cut off", "lines that end with a newline")

    def _require_counts(self, count: int, size: int) -> None:
        """Raise SpecError unless the manifest states these numbers of frames and bytes."""
        if count != self.manifest.frames:
            raise SpecError("manifest.frames", self.manifest.frames, f"{count}, as many lines as there are")
        if size != self.manifest.size_bytes:
            raise SpecError("manifest.size_bytes", self.manifest.size_bytes, f"{size}, as many bytes as there are")

    def _read_manifest(self) -> bytes:
        """Return the bytes of the manifest; raise SpecError if it is too large."""
        member = self._members[MANIFEST]
        if member.file_size > MAX_MANIFEST_BYTES:
            raise SpecError("manifest", f"{member.file_size} bytes", f"at most {MAX_MANIFEST_BYTES} bytes")
        return self._archive.read(member)


@contextmanager
def open_archive(file: BinaryIO, limits: ContainerLimits) -> Iterator[Archive]:
    """Open the zip file of a record.

    Raises
    ------
    SpecError
        If it is not a record file, is damaged, or exceeds a limit; also while its lines are read in this context.
    """
    _require_small_directory(file)
    with _name_damage(), zipfile.ZipFile(file) as archive:
        opened = Archive(archive, limits)
        _require_sizes(opened, limits)
        yield opened


def _require_sizes(opened: Archive, limits: ContainerLimits) -> None:
    """Raise SpecError if the unpacked frames are larger than allowed, in bytes or relative to their packed size."""
    member = opened._members[FRAMES]
    if member.file_size > limits.size_bytes:
        raise SpecError(FRAMES, f"{member.file_size} bytes", f"at most {limits.size_bytes} bytes")
    if member.file_size > RATIO_FREE_BYTES and member.file_size > limits.ratio * member.compress_size:
        got = f"{member.file_size} bytes in {member.compress_size}"
        raise SpecError(FRAMES, got, f"at most {limits.ratio} bytes unpacked for each byte packed")


def _require_small_directory(file: BinaryIO) -> None:
    """Raise SpecError if the zip's list of members is too large, before zipfile reads it into memory."""
    length = file.seek(0, io.SEEK_END)
    tail_bytes = min(length, _END_BYTES + _LOCATOR_BYTES)
    file.seek(length - tail_bytes)
    tail = file.read(tail_bytes)
    file.seek(0)
    if len(tail) < _END_BYTES or tail[-_END_BYTES:][:4] != _END:
        raise SpecError("container", f"{length} bytes that are no whole zip", WHOLE, NO_TRACE)
    *_, here, entries, size, offset, comment = struct.unpack(_END_FORMAT, tail[-_END_BYTES:])
    if comment or tail.startswith(_LOCATOR):
        raise SpecError("container", "a zip with a comment or in the form for large files", WHOLE)
    if offset + size + _END_BYTES != length:
        raise SpecError("container", "a zip with bytes before it, or cut off", WHOLE)
    if (here, entries) != (2, 2) or size > MAX_DIRECTORY_BYTES:
        raise SpecError("container", f"a zip of {entries} members", WHOLE, NO_TRACE)


def _find_members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the two members of a record's zip by name; raise SpecError if there are others, or if one is encrypted."""
    members = {info.filename: info for info in archive.infolist()}
    if members.keys() != {MANIFEST, FRAMES}:
        raise SpecError("container", sorted(members), WHOLE, NO_TRACE)
    for name, info in members.items():
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
            raise SpecError(name, "another compression, or encryption", "a member that is stored or deflated")
    return members


@contextmanager
def _name_damage() -> Iterator[None]:
    """Convert errors of a damaged zip to SpecErrors in this context."""
    try:
        yield
    except SpecError:
        raise  # SpecError is a ValueError, which the next clause would catch
    except _DAMAGE as error:
        raise SpecError("container", f"a damaged zip: {error}", WHOLE) from None
