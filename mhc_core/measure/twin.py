"""The twin of a recording: a spec with the same depth, streams, block and initialisation, as far as they are known.

The connection follows from the recorded mixing: one stream is a residual connection; rows and columns that sum to 1 are
mHC; other mixing is HC; weights over depth without mixing are attention over depth. For each case, the kind is the
first family with the needed properties. For mHC, the nearest initialisation is chosen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch

from mhc_core.families import FAMILIES
from mhc_core.family import Family
from mhc_core.layers.connection import StreamMajor
from mhc_core.layers.connections import build_connection
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec, parse_spec
from mhc_core.spec.connection import InitPreset

Array = np.ndarray


def _find_kind(fits: Callable[[Family], bool]) -> str:
    """Return the first kind of connection whose family has these properties."""
    return next(kind for kind, family in FAMILIES.items() if fits(family))


ONE_STREAM = _find_kind(lambda family: not family.has_streams and family.skips)
ITERATED = _find_kind(lambda family: family.iterates)
FREE = _find_kind(lambda family: family.streams == "copies" and family.drawn == "entries")
ATTENDING = _find_kind(lambda family: family.attends)

MAX_DEPTH, MAX_STREAMS = 1024, 16  # limits of a spec; a test compares them
SUM_ERROR = 0.05  # largest error of sums for mHC: Sinkhorn has less; bfloat16, or only rows normalised, has more
STILL = 1e-6  # a coefficient whose standard deviation over tokens is smaller is static
GATED = 0.006  # standard deviation of H_res over tokens: less with gates of 0.01, more with gates of 1
WIDTH = 4  # of the stacks whose initial mixing is compared; it does not depend on the width
DRAWN = ("megatron", "deepseek_v4")  # initialisations that draw the projections of tokens

ALWAYS_UNKNOWN = (
    "width, seed, weights and input of the model: the twin has the default ones",
    "norm, activation and the size inside of a branch: the twin has the default ones",
)


@dataclass(frozen=True)
class TwinSpec:
    """A spec, and texts that say which properties of the model are unknown or differ."""

    spec: RunSpec
    unknown: list[str]


def build_twin(result: Result) -> TwinSpec:
    """Build a spec that resembles a recorded model, from its start frame and forward frames, and list what differs."""
    unknown = list(ALWAYS_UNKNOWN)
    depth = min(result.depth, MAX_DEPTH)
    if depth < result.depth:
        unknown.append(f"{result.depth} layers: the twin has {depth}, the most that a spec takes")
    fields = {
        "depth": depth,
        "block": {"kind": _choose_block(result.blocks, unknown)},
        "connection": _choose_connection(result, depth, unknown),
    }
    return TwinSpec(parse_spec(fields), unknown)


def _choose_block(blocks: list[str], unknown: list[str]) -> str:
    """Return the kind of block nearest to the recorded layers, by their names; add differences to `unknown`."""
    kinds = {name.lower() for name in blocks}
    if kinds == {"mlp"}:
        return "mlp"
    if kinds == {"attention", "mlp"}:
        if blocks != [("attention", "mlp")[layer % 2] for layer in range(len(blocks))]:
            unknown.append("the order of attention and MLP: in the twin they alternate")
        return "transformer"
    if all("conv" in name or "bottleneck" in name or "basicblock" in name for name in kinds):
        return "conv"
    shown = ", ".join(sorted(set(blocks))[:3])
    unknown.append(f"what a layer ({shown}) is made of: in the twin attention and MLP alternate, each is one layer")
    return "transformer"


def _choose_connection(result: Result, depth: int, unknown: list[str]) -> dict[str, Any]:
    """Choose the connection nearest to the record's mixing, and add to `unknown` what it cannot reproduce."""
    h_res = result.matrices.get("h_res")
    if h_res is None and "unfolded" in result.matrices:
        unknown.append(
            "which outputs share a source, how sources are summed, and what the queries have learned: in the twin "
            "every output is a source of its own, and queries are 0"
        )
        return {"kind": ATTENDING, "noise": 0.0}
    if result.streams == 1:
        if h_res is None or not np.allclose(h_res, 1.0):
            unknown.append("what passes a layer by, which is not the plain state: the twin's skip is the identity")
        return {"kind": ONE_STREAM}
    streams = min(result.streams, MAX_STREAMS)
    if streams < result.streams:
        unknown.append(f"{result.streams} streams: the twin has {streams}, the most that a spec takes")
    if h_res is None or not np.isfinite(h_res).all():
        unknown.append("the mixing of the streams, which the trace lacks or has lost: the twin has the default one")
        return {"kind": ITERATED, "streams": streams, "noise": 0.0}
    spread = _find_spread(result)
    is_dynamic = max(spread, _find_spread(result, "h_pre_std")) > STILL
    fields: dict[str, Any] = {"streams": streams, "noise": 0.0, "dynamic": is_dynamic}
    unknown.append("how far training has moved the mixing: the twin's has not drifted from its initialisation")
    if max(np.abs(h_res.sum(axis) - 1).max() for axis in (1, 2)) > SUM_ERROR:
        return {"kind": FREE, **fields}
    init = _find_nearest_init(result, depth, streams, spread)
    if init == "deepseek_v4":
        fields["sinkhorn_eps"] = 1e-6
    return {"kind": ITERATED, **fields, "init": init}


def _find_spread(result: Result, key: str = "h_res_std") -> float:
    """Return the mean standard deviation of H_res over tokens, or of another key; 0 if mixing is static."""
    spread = result.matrices.get(key)
    return 0.0 if spread is None else float(np.nan_to_num(spread).mean())


def _find_nearest_init(result: Result, depth: int, streams: int, spread: float) -> str:
    """Return the initialisation whose static mixing is nearest to the recorded one.

    If several have the same static mixing, the spread of the mixing over tokens decides.
    """
    errors = {init: _measure_distance(result, init, depth, streams) for init in get_args(InitPreset)}
    nearest = min(errors, key=lambda init: errors[init])
    if nearest in DRAWN:  # both start with the same biases
        return "deepseek_v4" if spread > GATED else "megatron"
    if nearest == "residual":  # near the identity tokens hardly change H_res
        return "hy_v4" if _find_spread(result, "h_pre_std") > STILL else "residual"
    return nearest


@torch.no_grad()
def _measure_distance(result: Result, init: str, depth: int, streams: int) -> float:
    """Return the mean absolute difference between the recorded mixing and that of an initialisation."""
    connection = {"kind": ITERATED, "streams": streams, "noise": 0.0, "init": init}
    stack = parse_spec({"depth": depth, "width": WIDTH, "block": {"heads": 1}, "connection": connection})
    built = build_connection(stack)
    assert isinstance(built, StreamMajor), "static mixing is stream-major"
    mixing = built.static_mixing()
    assert mixing is not None, "what is not dynamic has static mixing"
    expected = {"h_pre": mixing.h_pre, "h_post": mixing.h_post, "h_res": mixing.h_res}
    differences = [
        np.nanmean(np.abs(result.matrices[key][:depth, :streams] - coefficients.numpy()))
        for key, coefficients in expected.items()
        if key in result.matrices and result.streams == streams
    ]
    return float(np.sum(differences))
