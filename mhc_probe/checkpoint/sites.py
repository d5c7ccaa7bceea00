"""Find the connections of a checkpoint by the names that four families of models give their parameters.

The parameters decide the family, not the model's name: three scales belong to H_pre, H_post and H_res, two to H_pre and
H_post alone, and a gate has none. The names in transformers and those in the authors' own checkpoints are recognised.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from mhc_core.spec import SpecError
from mhc_probe.checkpoint.safetensors import TensorLocation

MAX_LAYERS, MAX_STREAMS = 1024, 64
BRANCHES = ("attention", "mlp")  # branches of every block, in this order
# Prefix of a connection's parameters -> its branch.
STARTS = {
    "attn_hc.": "attention",
    "hc_attn_": "attention",
    "hc_attn_layer.hc_": "attention",
    "hc_pre.hc_attn_layer.hc_": "attention",
    "attn_hyper_connection.": "attention",
    "ffn_hc.": "mlp",
    "hc_ffn_": "mlp",
    "hc_mlp_layer.hc_": "mlp",
    "hc_pre.hc_mlp_layer.hc_": "mlp",
    "mlp_hyper_connection.": "mlp",
}
PROJECTION, BASE, SCALE, INJECTION = "fn", "base", "scale", "block_inject_weight.weight"
ENDS = (PROJECTION, BASE, SCALE, INJECTION)
_NAME = re.compile(
    rf"(?:(?P<tower>[\w.]+)\.)?layers\.(?P<block>[0-9]{{1,5}})\.(?P<start>{'|'.join(map(re.escape, STARTS))})"
    rf"(?P<end>{'|'.join(map(re.escape, ENDS))})"
)


class CheckpointLayer(NamedTuple):
    """The connection of one layer."""

    name: str
    """Its name in the checkpoint."""
    branch: str
    parts: dict[str, TensorLocation]
    """Its parameters, by the names in `ENDS`."""


def find_sites(entries: Mapping[str, TensorLocation], blocks: int | None) -> list[CheckpointLayer]:
    """Return the hyper-connections among a checkpoint's tensors in the order of the layers, two per block.

    Parameters
    ----------
    entries: the tensors of a checkpoint.
    blocks: number of blocks of the model; None if unknown. Blocks stored after these predict later tokens and are
        ignored.

    Raises
    ------
    SpecError
        If there are none, if those of a block are missing, or if they belong to several models.
    """
    found = _group(entries)
    towers = sorted({tower for tower, _, _ in found if "mtp" not in tower})
    if not towers:
        wanted = "parameters of Hyper-Connections as DeepSeek-V4, GLM-5-next, HY-V4 or Qwen4-Exp name them"
        raise SpecError("checkpoint", ", ".join(list(entries)[:3]) or "no tensors", wanted)
    if len(towers) > 1:
        raise SpecError("checkpoint", f"connections in {' and '.join(towers)}", "those of one stack")
    last = max(block for tower, block, _ in found if tower == towers[0])
    depth = last + 1 if blocks is None else blocks
    if not 1 <= 2 * depth <= MAX_LAYERS:
        raise SpecError("checkpoint: layers", 2 * depth, f"at most {MAX_LAYERS}")
    wanted_sites = [(towers[0], block, branch) for block in range(depth) for branch in BRANCHES]
    for tower, block, branch in wanted_sites:
        if (tower, block, branch) not in found:
            place = f"{tower}.layers.{block}".removeprefix(".")
            raise SpecError(f"checkpoint: {place}", "nothing", f"the connection of its {branch}: is a file missing?")
    return [found[key] for key in wanted_sites]


def _group(entries: Mapping[str, TensorLocation]) -> dict[tuple[str, int, str], CheckpointLayer]:
    """Return the tensors of hyper-connections by tower, block and branch."""
    sites: dict[tuple[str, int, str], CheckpointLayer] = {}
    for name, entry in entries.items():
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        branch, end = STARTS[match["start"]], match["end"]
        key = (match["tower"] or "", int(match["block"]), branch)
        site = sites.setdefault(key, CheckpointLayer(name.removesuffix(end).rstrip("._"), branch, {}))
        if end in site.parts:
            raise SpecError(f"checkpoint: {name}", "another name of it too", "one name for each parameter")
        site.parts[end] = entry
    return sites
