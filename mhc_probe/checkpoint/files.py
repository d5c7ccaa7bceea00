"""Open the files of a checkpoint: one safetensors file, or a folder of them with an index, and its config.json."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from mhc_core.spec import SpecError
from mhc_probe.checkpoint.safetensors import TensorLocation, read_header, show_name

INDEX, SINGLE, CONFIG = "model.safetensors.index.json", "model.safetensors", "config.json"
MAX_JSON_BYTES = 100_000_000
MAX_SHARDS = 4096


class Checkpoint(NamedTuple):
    """The contents of a checkpoint, before any tensor is read."""

    title: str
    """Name of the file or of its folder, for display."""
    entries: dict[str, TensorLocation]
    """Tensors by name."""
    config: dict[str, Any]
    """Content of config.json, with the text model's settings on top level; {} without such a file."""


def open_checkpoint(path: Path) -> Checkpoint:
    """Read the headers of a checkpoint's files: its tensors, without their values, and its settings.

    Parameters
    ----------
    path: a safetensors file, an index of several (`*.index.json`), or a folder that holds either.

    Raises
    ------
    SpecError
        If one of its files is missing, incomplete, or of another format.
    OSError
        If one cannot be read.
    """
    source = _find_source(path)
    entries = _read_shards(source) if source.name.endswith(".index.json") else read_header(source)
    return Checkpoint(_name(path), entries, _read_config(source.parent / CONFIG))


def _find_source(path: Path) -> Path:
    """Return the index file of a checkpoint, or its only file."""
    if not path.is_dir():
        return path
    for name in (INDEX, SINGLE):
        if (path / name).is_file():
            return path / name
    found = sorted([*path.glob("*.safetensors.index.json"), *path.glob("*.safetensors")])
    if len(found) != 1:
        names = ", ".join(item.name for item in found[:5]) or "none"
        raise SpecError("checkpoint", names, f"a folder with {INDEX}, {SINGLE} or one safetensors file")
    return found[0]


def _read_shards(index: Path) -> dict[str, TensorLocation]:
    """Return the location of every tensor of an index. Raise SpecError if a file or a tensor in it is missing."""
    shard_of = _read_object(index).get("weight_map")
    if not isinstance(shard_of, dict) or not all(isinstance(name, str) for name in shard_of.values()):
        raise SpecError(f"{index.name}: weight_map", type(shard_of).__name__, "the name of a file for each tensor")
    names = sorted(set(shard_of.values()))
    if len(names) > MAX_SHARDS:
        raise SpecError(f"{index.name}: weight_map", f"{len(names)} files", f"at most {MAX_SHARDS}")
    for name in names:
        # A name that contains a folder could refer to files outside of the checkpoint.
        if Path(name).name != name or not (index.parent / name).is_file():
            raise SpecError(f"{index.name}: weight_map", name, "a file in the folder of the index")
    shards = {name: read_header(index.parent / name) for name in names}
    for tensor, name in shard_of.items():
        if tensor not in shards[name]:
            raise SpecError(f"{index.name}: weight_map.{show_name(tensor)}", name, "a file that holds this tensor")
    return {tensor: shards[name][tensor] for tensor, name in shard_of.items()}


def _read_config(path: Path) -> dict[str, Any]:
    """Return the settings of a checkpoint's text model, completed by those of the whole model."""
    if not path.is_file():
        return {}
    config = _read_object(path)
    text = config.get("text_config")
    return config | (text if isinstance(text, dict) else {}) | {"architectures": config.get("architectures")}


def _read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; raise SpecError if it is too large or none."""
    if path.stat().st_size > MAX_JSON_BYTES:
        raise SpecError(path.name, f"{path.stat().st_size} bytes", f"at most {MAX_JSON_BYTES}")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise SpecError(path.name, str(error), "JSON") from None
    if not isinstance(content, dict):
        raise SpecError(path.name, type(content).__name__, "a JSON object")
    return content


def _name(path: Path) -> str:
    """Return the name of a checkpoint from its folder or file, limited to characters that a record allows."""
    name = path.resolve().name.removesuffix(".json").removesuffix(".index").removesuffix(".safetensors")
    return (
        "".join(character for character in name if character.isprintable() and character not in "<>&")[:100]
        or "checkpoint"
    )
