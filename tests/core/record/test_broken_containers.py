"""Containers that are refused: each names its field, and what is said is short."""

import contextlib
import tempfile
from collections.abc import Iterator
from random import Random
from typing import Any, BinaryIO

import pytest

from mhc_core.record.codec import encode_frame
from mhc_core.record.container import ContainerLimits, read_frames
from mhc_core.record.result import Result
from mhc_core.spec import SpecError
from tests.broken_traces import BROKEN, pack, read_lines

LIMITS = ContainerLimits(size_bytes=64_000_000)
MAX_SENTENCE = 500


@contextlib.contextmanager
def open_file(content: bytes) -> Iterator[BinaryIO]:
    """A real file: it fails in other ways than bytes in memory."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        yield file


def read(content: bytes, limits: ContainerLimits = LIMITS) -> int:
    """How many frames a container has."""
    with open_file(content) as file:
        return sum(1 for _ in read_frames(file, limits, only_traces=True))


def test_the_trace_that_they_were_made_of_is_taken() -> None:
    assert read(pack(read_lines())) == len(read_lines())


@pytest.mark.sample(8)
@pytest.mark.parametrize("name", BROKEN)
def test_it_is_refused_by_its_field(name: str) -> None:
    build, field, wanted = BROKEN[name]
    with pytest.raises(SpecError) as refused:
        read(build())
    assert refused.value.field.startswith(field), refused.value
    assert wanted in f"{refused.value.got} {refused.value.wanted}"
    assert len(str(refused.value)) < MAX_SENTENCE


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        (ContainerLimits(size_bytes=1000), "frames.ndjson"),
        (ContainerLimits(lines=10), "frames.ndjson"),
        (ContainerLimits(line_bytes=500), "frames[1]"),
    ],
)
def test_limits_are_kept(limits: ContainerLimits, field: str) -> None:
    with pytest.raises(SpecError) as refused:
        read(pack(read_lines()), limits)
    assert refused.value.field == field


def collect(content: bytes) -> Result:
    """What a container adds up to, encoded as the server does."""
    result = Result()
    with open_file(content) as file:
        for index, frame in enumerate(read_frames(file, LIMITS, only_traces=True)):
            encode_frame(frame, "", index)
            result.add(frame)
    return result


@pytest.mark.sample(8)
@pytest.mark.parametrize("seed", range(16))
def test_damaged_bytes_are_refused_by_name_or_harmless(seed: int) -> None:
    """Flipped, cut, repeated: what is still taken is the same record."""
    random = Random(seed)
    whole = pack(read_lines())
    wanted = collect(whole).layers.keys()
    for _ in range(20):
        content = bytearray(whole)
        for _ in range(random.randint(1, 4)):
            content[random.randrange(len(content))] = random.randrange(256)
        damaged = bytes(content[: random.randint(1, len(content))] if random.random() < 0.2 else content)
        try:
            result = collect(damaged)
        except SpecError:
            continue
        assert result.layers.keys() == wanted


JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    7,
    2**53,
    2**70,
    0.5,
    1e300,
    "",
    "x",
    "<b>",
    [],
    [None],
    [[1.0]],
    {},
    {"a": 1},
    {"1": "nan"},
)


@pytest.mark.sample(8)
@pytest.mark.parametrize("seed", range(16))
def test_foreign_values_are_refused_by_name_or_add_up(seed: int) -> None:
    """Any value anywhere in any frame: refused by name, or a record that every reader can add up."""
    random = Random(1000 + seed)
    for _ in range(20):
        frames = read_lines()
        _replace_somewhere(frames, random)
        with contextlib.suppress(SpecError):
            collect(pack(frames))


def _replace_somewhere(part: Any, random: Random) -> None:
    keys = list(part) if isinstance(part, dict) else range(len(part))
    key = random.choice(list(keys))
    if isinstance(part[key], dict | list) and part[key] and random.random() < 0.85:
        _replace_somewhere(part[key], random)
    else:
        part[key] = random.choice(JUNK)
