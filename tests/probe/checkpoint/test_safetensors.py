"""Files in the format of safetensors: read as its own library reads them, and refused where they are not whole."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mhc_core.spec import SpecError
from mhc_probe.checkpoint import read_checkpoint
from mhc_probe.checkpoint.safetensors import read_header, read_values
from tests.probe.checkpoint.stored import draw_connections, pack, write_file


def _describe(dtype: str = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def _pack(content: bytes = bytes(8), **tensors: object) -> bytes:
    return pack(json.dumps(tensors).encode(), content)


BAD = {
    "empty": (b"", "header"),
    "shorter than a length": (b"\x08\0\0", "header"),
    "a header beyond its end": (pack(b"{}", b"")[:9], "header"),
    "a header of 16 EiB": (b"\xff" * 8 + b"{}", "header"),
    "a pickle": (b"\x80\x04\x95\x1c\0\0\0\0\0\0\0\x8c\x08builtins\x94\x8c\x04eval\x94\x93\x94.", "header"),
    "a zip": (b"PK\x03\x04\x14\0\0\0\0\0" + bytes(40), "header"),
    "no JSON": (pack(b"{'a': 1}", b""), "header"),
    "no UTF-8": (pack(b'{"\xff\xfe": 1}', b""), "header"),
    "JSON without an end": (pack(b"[" * 100_000, b""), "header"),
    "a list": (pack(b"[]", b""), "header"),
    "a name twice": (
        pack(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
             b"1"), "header"),
    "a tensor that is none": (_pack(a=3), "a"),
    "a tensor with more": (_pack(a=_describe() | {"code": "1"}), "a"),
    "a tensor without a shape": (_pack(a={"dtype": "F32", "data_offsets": [0, 8]}), "a"),
    "an unknown type": (_pack(a=_describe("O")), "a.dtype"),
    "a type that is a list": (_pack(a=_describe() | {"dtype": ["F32"]}), "a.dtype"),
    "a negative size": (_pack(a=_describe(shape=[-2])), "a.shape"),
    "a size that is true": (_pack(a=_describe(shape=[True, 2])), "a.shape"),
    "a size in parts": (_pack(a=_describe(shape=[2.0])), "a.shape"),
    "too many dimensions": (_pack(a=_describe(shape=[2] + [1] * 8)), "a.shape"),
    "an offset before the file": (_pack(a=_describe(offsets=[-8, 0])), "a.data_offsets"),
    "an offset after the file": (_pack(a=_describe(offsets=[8, 16])), "a.data_offsets"),
    "an end before its start": (_pack(a=_describe(offsets=[8, 0])), "a.data_offsets"),
    "three offsets": (_pack(a=_describe(offsets=[0, 4, 8])), "a.data_offsets"),
    "fewer bytes than its shape": (_pack(a=_describe(shape=[3])), "a.data_offsets"),
    "a shape beyond 64 bits": (_pack(a=_describe(shape=[2**62, 2**62])), "a.data_offsets"),
    "two tensors in one place": (_pack(a=_describe(), b=_describe()), "b.data_offsets"),
    "a gap": (_pack(bytes(16), a=_describe(offsets=[8, 16])), "a.data_offsets"),
    "bytes after the last tensor": (_pack(bytes(9), a=_describe()), "size"),
}  # fmt: skip


@pytest.mark.sample(6)
@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_and_the_field_named(case: str, tmp_path: Path) -> None:
    content, field = BAD[case]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        read_header(path)
    assert caught.value.field == f"bad.safetensors: {field}"


def _save_old(path: Path) -> None:
    torch.save({"a": torch.ones(3)}, path, _use_new_zipfile_serialization=False)


def _cut(path: Path, size: int) -> None:
    save_file({"a": torch.ones(10, 10)}, path)
    path.write_bytes(path.read_bytes()[:size])


OTHER_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "header: got an empty file, wanted a safetensors file"),
    "text": (lambda path: path.write_text("α\tb\nc" * 99), "header: got text that starts with 'α b cα b cα b cα"),
    "a page": (lambda path: path.write_text("<html>"), "header: got text that starts with '<html>', wanted a safe"),
    "torch.save": (lambda path: torch.save({"a": torch.ones(3)}, path), "header: got a zip archive, as torch.save"),
    "old torch.save": (_save_old, "header: got a pickle, as old versions of torch.save write, wanted a safetensors"),
    "Git LFS": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        "header: got a pointer of Git LFS; git lfs pull gets the file, wanted a safetensors file",
    ),
    "binary": (lambda path: path.write_bytes(b"\xff\0" * 9), "header: got binary data that starts with ff 00 ff"),
    "cut in the header": (lambda path: _cut(path, 30), "header: got 'a file of 30 bytes', wanted 72 bytes or more"),
    "cut in a tensor": (
        lambda path: _cut(path, 422),
        "a.data_offsets: got [0, 400], wanted an end within the 350 bytes after the header: the file is incomplete",
    ),
}


@pytest.mark.parametrize("case", OTHER_FILES)
def test_a_file_of_another_format_is_named(case: str, tmp_path: Path) -> None:
    write, said = OTHER_FILES[case]
    write(tmp_path / "model.pt")
    with pytest.raises(SpecError) as caught:
        read_checkpoint(tmp_path / "model.pt")
    assert str(caught.value).startswith(f"model.pt: {said}")


def test_a_name_in_an_error_is_short_and_plain(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    for name, shown in (("\x1b[2J\ud800", r"'\x1b[2J\ud800'"), ("a" * 10**6, f"{'a' * 100}…")):
        path.write_bytes(pack(json.dumps({name: 3}).encode(), b""))
        with pytest.raises(SpecError) as caught:
            read_header(path)
        assert caught.value.field == f"bad.safetensors: {shown}"


@pytest.mark.full
def test_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    path = write_file(tmp_path / "model.safetensors", draw_connections(1))
    whole, harmless = path.read_bytes(), 0
    for seed in range(500):
        _damage(path, whole, seed)
        try:
            harmless += read_checkpoint(path).depth == 2
        except SpecError as error:
            assert error.field  # noqa: PT017  (either may happen)
    assert 0 < harmless < 250


def _damage(path: Path, whole: bytes, seed: int) -> None:
    """Write a file with other bytes in its header, or without its end."""
    content, rng = bytearray(whole), np.random.default_rng(seed)
    for place in rng.integers(8 + int.from_bytes(content[:8], "little"), size=rng.integers(1, 4)):
        content[place] = rng.integers(256)
    path.write_bytes(content[: rng.integers(len(content))] if seed % 5 == 0 else content)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_values_are_those_that_the_library_wrote(dtype: torch.dtype, tmp_path: Path) -> None:
    drawn = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    save_file({"first": torch.arange(7), "wanted": drawn}, tmp_path / "a.safetensors", metadata={"format": "pt"})
    entries = read_header(tmp_path / "a.safetensors")
    assert entries.keys() == {"first", "wanted"}
    assert np.array_equal(read_values(entries["wanted"]), drawn.double().numpy())


def test_integers_are_no_coefficients(tmp_path: Path) -> None:
    save_file({"a": torch.arange(7)}, tmp_path / "a.safetensors")
    with pytest.raises(SpecError, match="dtype: got 'I64', wanted one of F64, F32, F16, BF16"):
        read_values(read_header(tmp_path / "a.safetensors")["a"])


def test_a_file_that_became_shorter_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(100)}, path)
    entry = read_header(path)["a"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SpecError, match="bytes: got 399, wanted 400: the file has become shorter"):
        read_values(entry)
