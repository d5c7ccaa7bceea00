"""Containers that must be refused, each with the field that the refusal names. All but the first few are whole zips."""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from mhc_core.record.codec import to_typed_array
from tests.traced import read_trace

Frames = list[dict[str, Any]]
Change = Callable[[Frames], object]
LOSS, SIMILARITY, FIRST, MIXING, SUMMARY, BACKWARD = 14, 3, 2, 22, 23, 15  # places of frames in the trace
DEEP = 3000


def read_lines() -> Frames:
    """The frames of a trace of a tiny DeepSeek-V4 as plain data, fresh each time."""
    return [json.loads(line) for line in read_trace().lines]


def pack(frames: Frames, /, **manifest: Any) -> bytes:
    """A container of frames that are plain data; keys of the manifest may be set to what is not so."""
    return pack_lines([json.dumps(frame).encode() + b"\n" for frame in frames], **manifest)


def pack_lines(lines: list[bytes], /, **manifest: Any) -> bytes:
    source = read_trace().source
    said = {
        "format": "mhct",
        "version": 1,
        "protocol": 1,
        "mhc_scope": "0.2.0",
        "model": {"name": source.model.name, "parameters": source.model.parameters},
        "frames": len(lines),
        "size_bytes": sum(map(len, lines)),
    } | manifest
    kept = {key: value for key, value in said.items() if value is not ...}
    return zip_members({"manifest.json": json.dumps(kept).encode(), "frames.ndjson": b"".join(lines)})


def zip_members(members: dict[str, bytes], comment: bytes = b"", **how: Any) -> bytes:
    """A zip of anything."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **{"compression": zipfile.ZIP_DEFLATED, **how}) as archive:
        archive.comment = comment
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _changed(change: Change) -> Callable[[], bytes]:
    def build() -> bytes:
        frames = read_lines()
        change(frames)
        return pack(frames)

    return build


def _line(index: int, line: bytes) -> Callable[[], bytes]:
    """One line in place of another."""

    def build() -> bytes:
        lines = [json.dumps(frame).encode() + b"\n" for frame in read_lines()]
        lines[index] = line
        return pack_lines(lines)

    return build


def _set(index: int, path: str, value: Any) -> Callable[[], bytes]:
    """One field of one frame set to something else."""
    *parents, name = path.split(".")

    def change(frames: Frames) -> None:
        part: Any = frames[index]
        for parent in parents:
            part = part[int(parent)] if isinstance(part, list) else part[parent]
        part[int(name) if isinstance(part, list) else name] = value

    return _changed(change)


def _said(**manifest: Any) -> Callable[[], bytes]:
    return lambda: pack(read_lines(), **manifest)


def _whole() -> bytes:
    return pack(read_lines())


def _damage(position: int) -> bytes:
    """One byte of the packed frames turned around."""
    content = bytearray(_whole())
    content[position] ^= 0xFF
    return bytes(content)


def _many_members() -> bytes:
    return zip_members({f"{index}": b"" for index in range(20_000)})


def _bomb() -> bytes:
    """100 MB of one letter in 100 kB."""
    line = b'{"run":"","index":0,"type":"start","x":"' + b"a" * 1_000_000 + b'"}\n'
    return pack_lines([line] * 100)


def _long_line() -> bytes:
    """Not a bomb by its ratio: digits that do not repeat."""
    digits = ",".join(str((7919 * index) % 999_983) for index in range(1_500_000))
    return pack_lines([b'{"run":"","index":0,"type":"start","x":[' + digits.encode() + b"]}\n"])


def _large_form() -> bytes:
    """A zip with the record that leads to the directory of a file above 4 GB, which would name any size."""
    content = _whole()
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    return content[:-22] + locator + content[-22:]


def _encrypted() -> bytes:
    """Both places that say whether a member is encrypted say so."""
    content = bytearray(_whole())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        position = content.rfind(signature)
        content[position + offset] |= 1
    return bytes(content)


def _swap(first: int, second: int) -> Change:
    def change(frames: Frames) -> None:
        frames[first], frames[second] = frames[second], frames[first]
        frames[first]["index"], frames[second]["index"] = first, second

    return change


def _cut(frames: Frames) -> None:
    """The record without its end."""
    del frames[10:]


def _add_spec(frames: Frames) -> None:
    frames[0]["spec"] = {"depth": 6}


def _make_run(frames: Frames) -> None:
    del frames[0]["source"]
    frames[0]["spec"] = {"depth": 6}


def _packed(dtype: str, bdata: str, shape: str) -> dict[str, str]:
    return {"dtype": dtype, "bdata": bdata, "shape": shape}


NANS = _packed("f4", "AADAfwAAwH8AAMB/AADAfwAAwH8AAMB/AADAfwAAwH8AAMB/AADAfwAAwH8AAMB/AADAfwAAwH8AAMB/AADAfw==", "4, 4")
INFINITY = _packed(
    "f4", "AACAfwAAgD8AAIA/AACAPwAAgD8AAIA/AACAPwAAgD8AAIA/AACAPwAAgD8AAIA/AACAPwAAgD8AAIA/AACAPw==", "4, 4"
)
WHOLE_NUMBERS = _packed(
    "i4", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", "4, 4"
)
SMALL_MATRIX = _packed("f4", "AACAPwAAgD8AAIA/AACAPw==", "2, 2")


# Name -> (builder, field that is named, part of what is wanted).
def build_with_atlas(**changes: Any) -> bytes:
    """The trace with an atlas before its summary; parts of it may be set to what is not so."""
    frames = read_lines()
    layers, streams = frames[0]["layers"], frames[0]["streams"]
    table = [[[0.5] * streams] * layers] * 2
    cuts = [{"what": "stream", "do": "zero"}, {"what": "stream", "do": "mean"}]
    values = {key: pack_table(table) for key in ("loss", "output_kl", "effect_last")}
    atlas = {
        **frames[SUMMARY],
        "type": "atlas",
        "cuts": cuts,
        "loss_base": 0.25,
        "values": values,
        "seeds": 1,
        **changes,
    }
    for key in ("headline", "findings"):
        atlas.pop(key, None)
    return pack([*frames[:SUMMARY], atlas, {**frames[SUMMARY], "index": SUMMARY + 1}])


def pack_table(table: Any) -> Any:
    """A table as it travels."""
    return to_typed_array(np.array(table, dtype=np.float32))


BROKEN: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "an edit of no kind": (
        _changed(lambda f: f[0]["source"].update(edits=[{"layers": [0, 0], "what": "stream", "do": "burn"}])),
        "frames[0].source.edits.0.do",
        "burn one of zero, identity",
    ),
    "an atlas of other cuts": (
        lambda: build_with_atlas(cuts=[{"what": "stream", "do": "burn"}]),
        f"frames[{SUMMARY}].cuts",
        "burn of stream",
    ),
    "an atlas of other layers": (
        lambda: build_with_atlas(values={key: pack_table([[[0.5]]]) for key in ("loss", "output_kl", "effect_last")}),
        f"frames[{SUMMARY}].values.loss",
        "shape [2, 6, 4]",
    ),
    "an atlas of other values": (
        lambda: build_with_atlas(values={"loss": pack_table([[[0.5]]])}),
        f"frames[{SUMMARY}].values",
        "output_kl",
    ),
    "features of a stream of unknown width": (
        _set(FIRST, "values.gates", pack_table([[0.5] * 8] * 4)),
        f"frames[{FIRST}].values.gates",
        "`width`",
    ),
    "other features than the width has": (
        _changed(lambda f: (f[0].update(width=9), f[FIRST]["values"].update(gates=pack_table([[0.5] * 8] * 4)))),
        f"frames[{FIRST}].values.gates",
        "shape [4, 9]",
    ),
    "streams without features": (_set(0, "width", 0), "frames[0].width", "at least 1"),
    "nothing": (lambda: b"", "container", "whole .mhct"),
    "a pickle": (lambda: pickle.dumps({"layers": [1.0]}), "container", "whole .mhct"),
    "text": (lambda: b"frames\n" * 1000, "container", "whole .mhct"),
    "frames without a zip": (lambda: b"".join(read_trace().lines), "container", "whole .mhct"),
    "cut in the middle": (lambda: _whole()[:5000], "container", "whole .mhct"),
    "cut at the end": (lambda: _whole()[:-1], "container", "whole .mhct"),
    "cut at the beginning": (lambda: _whole()[100:], "container", "whole .mhct"),
    "one byte changed": (lambda: _damage(4000), "container", "whole .mhct"),
    "bytes behind the zip": (lambda: _whole() + b"x" * 30, "container", "whole .mhct"),
    "a comment": (
        lambda: zip_members({"manifest.json": b"{}", "frames.ndjson": b""}, b"x"),
        "container",
        "whole .mhct",
    ),
    "the form for large files": (_large_form, "container", "whole .mhct"),
    "20000 members": (_many_members, "container", "whole .mhct"),
    "a third member": (
        lambda: zip_members({"manifest.json": b"{}", "frames.ndjson": b"", "run.py": b""}),
        "container",
        "whole .mhct",
    ),
    "a member of a pickle": (
        lambda: zip_members({"manifest.json": b"{}", "data.pkl": pickle.dumps(1)}),
        "container",
        "whole .mhct",
    ),
    "a member outside": (
        lambda: zip_members({"../manifest.json": b"{}", "frames.ndjson": b""}),
        "container",
        "whole .mhct",
    ),
    "another compression": (
        lambda: zip_members({"manifest.json": b"{}", "frames.ndjson": b""}, compression=zipfile.ZIP_BZIP2),
        "manifest.json",
        "deflated",
    ),
    "encrypted": (_encrypted, "frames.ndjson", "deflated"),
    "a bomb": (_bomb, "frames.ndjson", "at most"),
    "a long line": (_long_line, "frames[0]", "at most"),
    "a large manifest": (
        lambda: zip_members({"manifest.json": b" " * 20_000 + b"{}", "frames.ndjson": b""}),
        "manifest",
        "at most",
    ),
    "no manifest in the manifest": (
        lambda: zip_members({"manifest.json": b"frames", "frames.ndjson": b""}),
        "manifest",
        "JSON",
    ),
    "another format": (_said(format="onnx"), "manifest.format", "mhct"),
    "a later version": (_said(version=2), "manifest.version", "1"),
    "a later protocol": (_said(protocol=2), "manifest.protocol", "1"),
    "text for a model": (_said(model="GPT"), "manifest.model", "GPT an object"),
    "no model": (_said(model=...), "manifest.model", "required"),
    "more frames than there are": (_said(frames=25), "manifest.frames", "24"),
    "fewer bytes than there are": (_said(size_bytes=10), "manifest.size_bytes", "as many"),
    "another model": (_said(model={"name": "Other", "parameters": 1}), "manifest.model", "DeepseekV4ForCausalLM"),
    "no frames": (lambda: pack([]), "frames", "whole record"),
    "a record without its end": (_changed(_cut), "frames", "whole record"),
    "a line that is no JSON": (_line(4, b"frames\n"), "frames[4]", "JSON"),
    "a line that is a list": (_line(4, b"[]\n"), "frames[4]", "object"),
    "a line cut off": (_line(23, b'{"run":'), "frames[23]", "newline"),
    "NaN as JSON has it not": (_set(FIRST, "values.act_rms", float("nan")), "frames[2]", "finite"),
    "1e400": (_line(2, b'{"run":"","index":2,"type":"forward","layer":1e400}\n'), "frames[2]", "finite"),
    "nested too deep": (_line(2, b"[" * DEEP + b"]" * DEEP + b"\n"), "frames[2]", "JSON"),
    "an unknown type": (_set(5, "type", "tensor"), "frames[5].type", "forward"),
    "a frame of a run": (_set(5, "type", "jacobian"), "frames[5].type", "forward"),
    "a record of a spec": (_changed(_make_run), "frames[0].source", "/runs"),
    "a trace with a spec": (_changed(_add_spec), "frames[0].source", "one of them"),
    "no start frame": (_changed(lambda frames: frames.pop(0) and frames[0].update(index=0)), "frames[0].type", "start"),
    "two frames swapped": (_changed(_swap(4, 6)), "frames[5].type", "after forward of layer 2"),
    "an index left out": (_set(7, "index", 8), "frames[7].index", "7"),
    "an index that is true": (_set(1, "index", True), "frames[1].index", "1"),
    "frames of two records": (_set(7, "run", "other"), "frames[7].run", "same"),
    "a layer above the stack": (_set(12, "layer", 6), "frames[12].layer", "-1 to 5"),
    "a layer below the stack": (_set(1, "layer", -2), "frames[1].layer", "-1 to 5"),
    "no layers": (_set(0, "layers", 0), "frames[0].layers", "1 to"),
    "a million layers": (_set(0, "layers", 1_000_000), "frames[0].layers", "1 to"),
    "a thousand streams": (_set(0, "streams", 1000), "frames[0].streams", "1 to"),
    "fewer blocks than layers": (_set(0, "blocks", ["mlp"]), "frames[0].blocks", "6"),
    "text for a number": (_set(0, "layers", "six"), "frames[0].layers", "six an integer"),
    "no layers at all": (_changed(lambda f: f[0].pop("layers")), "frames[0].layers", "None a value: this field is req"),
    "a huge number of parameters": (
        _set(0, "source.model.parameters", 2**60),
        "frames[0].source.model.parameters",
        "2^53",
    ),
    "an unknown metric": (_set(FIRST, "values.karma", 1.0), "frames[2].values.karma", "metric of forward"),
    "a metric of another frame": (
        _set(FIRST, "values.grad_rms", 1.0),
        "frames[2].values.grad_rms",
        "metric of forward",
    ),
    "a matrix of another size": (_set(FIRST, "values.h_res", SMALL_MATRIX), "frames[2].values.h_res", "[4, 4]"),
    "a number for a matrix": (_set(FIRST, "values.h_res", 1.0), "frames[2].values.h_res", "[4, 4]"),
    "null for a matrix": (_set(FIRST, "values.h_res", None), "frames[2].values.h_res", "[4, 4]"),
    "a list for a number": (_set(FIRST, "values.act_rms", [1.0]), "frames[2].values.act_rms", "a number"),
    "lists of unequal length": (_set(FIRST, "values.h_res", [[1, 2], [1]]), "frames[2].values.h_res", "shape"),
    "text for a value": (_set(FIRST, "values.act_rms", "1"), "frames[2].values.act_rms", "number"),
    "whole numbers in a matrix": (_set(FIRST, "values.h_res", WHOLE_NUMBERS), "frames[2].values.h_res", "f4 or f8"),
    "infinity in a matrix": (_set(FIRST, "values.h_res", INFINITY), "frames[2].values.h_res", "finite"),
    "NaN in a matrix without a status": (_set(FIRST, "values.h_res", NANS), "frames[2].values.h_res", "status"),
    "null without a status": (_set(FIRST, "values.act_rms", None), "frames[2].values.act_rms", "status"),
    "a status beside a number": (_set(FIRST, "status.act_rms", "nan"), "frames[2].status.act_rms", "no status"),
    "a status of nothing": (_set(FIRST, "status.karma", "nan"), "frames[2].status.karma", "value"),
    "an unknown status": (_set(FIRST, "status.act_rms", "lost"), "frames[2].status.act_rms", "overflow"),
    "an array that is not one": (
        _set(FIRST, "values.h_res", _packed("f4", "!!", "4, 4")),
        "frames[2].values.h_res",
        "array",
    ),
    "an array of objects": (_set(FIRST, "values.h_res", _packed("O", "AAAA", "1")), "frames[2].values.h_res", "types"),
    "an array of many axes": (
        _set(FIRST, "values.h_res", _packed("f4", "", "9" * 4000 + ",9" * 100)),
        "frames[2].values.h_res",
        "axes",
    ),
    "a list nested 900 times": (
        _set(FIRST, "values.h_res", json.loads("[" * 900 + "]" * 900)),
        "frames[2].values.h_res",
        "list",
    ),
    "logarithms of what has none": (_set(FIRST, "log10.token_cos", 0.0), "frames[2].log10.token_cos", "decades"),
    "a row of CKA too long": (_set(SIMILARITY, "cka", [1.0, 1.0]), "frames[3].cka", "[1]"),
    "a column too short": (
        _set(MIXING, "values.composite_gain_fwd", [1.0]),
        "frames[22].values.composite_gain_fwd",
        "[6]",
    ),
    "a status of layer 6": (
        _set(MIXING, "status.composite_gain_fwd", {"6": "nan"}),
        "frames[22].status.composite_gain_fwd",
        "0 to 5",
    ),
    "another loss": (_set(LOSS, "values", {"reward": 1.0}), "frames[14].values", "loss"),
    "a name with markup": (
        _set(0, "source.model.name", "<img src=x onerror=alert(1)>"),
        "frames[0].source.model.name",
        "markup",
    ),
    "a name with a control character": (
        _set(0, "source.model.name", "A\x1b[31mB"),
        "frames[0].source.model.name",
        "control",
    ),
    "a name with U+0000": (_set(0, "blocks.0", "mlp\x00"), "frames[0].blocks[0]", "control"),
    "a name that turns the direction": (_set(0, "blocks.1", "mlp\u202e"), "frames[0].blocks[1]", "control"),
    "a long name": (_set(0, "source.model.name", "A" * 201), "frames[0].source.model.name", "200"),
    "markup in a sentence": (
        _set(SUMMARY, "findings.0.text", "gain <script>"),
        "frames[23].findings[0].text",
        "markup",
    ),
    "a version with markup": (
        _set(0, "source.versions", {"torch": "<b>2"}),
        "frames[0].source.versions.torch",
        "markup",
    ),
    "a long sentence": (_set(SUMMARY, "headline.text", "a" * 2001), "frames[23].headline.text", "2000"),
    "findings that are none": (_set(SUMMARY, "findings", [1]), "frames[23].findings", ""),
    "two frames of the same layer": (
        _changed(lambda frames: frames[BACKWARD + 1].update(layer=5)),
        "frames[16].type",
        "after backward of layer 5",
    ),
}
