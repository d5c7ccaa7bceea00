"""Compare the static mixing of two checkpoints layer by layer. numpy, float64.

If they differ, look for mistakes that a conversion may have made in all layers: a permutation of the streams, a
transposed H_res, or coefficients that are stored one layer too early or too late.

Shapes: L layers, n streams.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mhc_core.findings.words import count, format_number
from mhc_core.spec import SpecError
from mhc_probe.checkpoint.mixing import StaticMixing
from mhc_probe.checkpoint.reach import measure_row_sizes
from mhc_probe.checkpoint.reading import StoredMixing, read_stored
from mhc_probe.checkpoint.sites import BASE, CheckpointLayer

EPS = {"F64": 2.0**-52, "F32": 2.0**-23, "F16": 2.0**-10, "BF16": 2.0**-7}  # machine epsilon of each type of bias
SAME = 1e-5  # coefficients that differ by at most this are equal; the limit is larger if biases are stored in 16 bits
SAME_SIZE = 1e-3  # sizes of projections that differ by at most this share are equal
MAX_PERMUTED = 6  # largest number of streams for which every order is tried
SHIFTS = (0, 1, -1)
NAMES = {"h_pre": "H_pre", "h_post": "H_post", "h_res": "H_res"}

Columns = dict[str, np.ndarray]


class Match(NamedTuple):
    """How one coefficient (H_pre, H_post or H_res) of the second checkpoint follows from that of the first.

    Attributes
    ----------
    shift: layer l of the second checkpoint has the coefficient of layer l + shift of the first.
    transposed: whether matrices are transposed.
    """

    shift: int
    transposed: bool

    @property
    def is_plain(self) -> bool:
        """Return whether a coefficient is the same in both checkpoints, layer by layer."""
        return self == (0, False)


@dataclass(frozen=True)
class Comparison:
    """The differences of two checkpoints, and how the second may follow from the first.

    Attributes
    ----------
    layers: name of each compared layer, such as "layer 3 (attention)".
    differences: largest difference of each coefficient, (L) each, as the layers are stored.
    order: stream i of the second is stream order[i] of the first.
    matches: how each coefficient follows from the first checkpoint under this order; None if it does not.
    sizes_agree: whether the sizes of the projections follow in the same way; None if they cannot be read.
    tolerance: the difference up to which coefficients count as equal.
    further: number of layers that only one of the checkpoints has.
    """

    layers: list[str]
    differences: Columns
    order: tuple[int, ...]
    matches: dict[str, Match | None]
    sizes_agree: bool | None
    tolerance: float
    further: int

    @property
    def is_same(self) -> bool:
        """Return whether all coefficients and sizes are the same, layer by layer and stream by stream."""
        is_plain = all(match is not None and match.is_plain for match in self.matches.values())
        return is_plain and not self._is_permuted and self.sizes_agree is not False and not self.further

    def describe(self) -> list[str]:
        """Return sentences: how the second checkpoint follows from the first, and what was not compared."""
        sentences = [*self._describe_matches(), self._describe_sizes()]
        if self.further:
            sentences.append(f"One of them has {count(self.further, 'further layer')}, not compared.")
        return sentences

    @property
    def _is_permuted(self) -> bool:
        return self.order != tuple(range(len(self.order)))

    def _describe_matches(self) -> Iterator[str]:
        """Yield sentences on how each coefficient of the second checkpoint follows from the first."""
        known = {key: match for key, match in self.matches.items() if match is not None}
        if len(known) == len(self.matches) and len(set(known.values())) == 1 and next(iter(known.values())).is_plain:
            order = f" up to a permutation: {self._name_order()}" if self._is_permuted else ""
            yield f"The static mixing of all {len(self.layers)} layers is the same{order}."
            return
        if known and self._is_permuted:
            yield f"The streams are permuted: {self._name_order()}."
        for key, match in self.matches.items():
            yield self._describe_difference(key) if match is None else _describe_match(NAMES[key], match)

    def _describe_difference(self, key: str) -> str:
        """Return a sentence on where and how much a coefficient differs."""
        differences = self.differences[key]
        lost = np.flatnonzero(~(differences <= self.tolerance))
        worst = int(np.nanargmax(differences)) if np.isfinite(differences).any() else int(lost[0])
        permuted = "" if self._is_permuted else ", nor are streams permuted"
        return (
            f"{NAMES[key]} differs in {len(lost)} of {count(len(self.layers), 'layer')}, first in "
            f"{self.layers[int(lost[0])]}, and at most by {format_number(float(differences[worst]))} in "
            f"{self.layers[worst]}: it is neither transposed nor shifted by one layer{permuted}."
        )

    def _describe_sizes(self) -> str:
        """Return a sentence on whether the projections have the same sizes."""
        if self.sizes_agree is None:
            return "The projections of tokens were not compared: they cannot be read in both."
        if self.sizes_agree:
            return "The projections of tokens have the same sizes, row by row. Their directions were not compared."
        return "The projections of tokens do not have the same sizes."

    def _name_order(self) -> str:
        """Return in words which stream of the second checkpoint is which of the first."""
        places = ", ".join(str(place + 1) for place in self.order)
        return f"streams {places} of the first are streams 1 to {len(self.order)} of the second"


def _describe_match(name: str, match: Match) -> str:
    """Return a sentence on how a coefficient follows: the same, transposed or shifted by a layer."""
    transposed = "the transpose of that" if match.transposed else "that"
    if match.is_plain:
        return f"{name} is the same."
    if not match.shift:
        return f"{name} is the same up to a transpose."
    where = "after" if match.shift > 0 else "before"
    return f"{name} is shifted by one layer: that of the second is {transposed} of the layer {where} it in the first."


def compare_checkpoints(first: Path, second: Path) -> Comparison:
    """Compare the static mixing of two checkpoints, which is read as `read_checkpoint` reads it.

    Raises
    ------
    SpecError
        If one is not a complete checkpoint of a known family, or they have different numbers of streams.
    OSError
        If a file cannot be read.
    """
    stored = [read_stored(first), read_stored(second)]
    streams = [one.mixing.h_res.shape[1] for one in stored]
    if streams[0] != streams[1]:
        raise SpecError("second checkpoint", f"{streams[1]} streams", f"{streams[0]} streams, as in the first")
    counts = [len(one.sites) for one in stored]
    depth = min(counts)
    ours, theirs = (_collect_columns(one.mixing, depth) for one in stored)
    if ours.keys() != theirs.keys():
        raise SpecError("second checkpoint", "a family with other coefficients", "H_pre in both, or in neither")
    tolerance = max(SAME, *(4 * _find_eps(one.sites) for one in stored))
    order, matches = _find_matches(ours, stored[0].mixing.h_res_swapped[:depth], theirs, tolerance)
    found = Comparison(
        layers=[f"layer {at + 1} ({site.branch})" for at, site in enumerate(stored[0].sites[:depth])],
        differences={key: _measure(ours[key], theirs[key]) for key in ours},
        order=order,
        matches=matches,
        sizes_agree=None,
        tolerance=tolerance,
        further=max(counts) - depth,
    )
    return replace(found, sizes_agree=_compare_sizes(stored, found, depth))


def _find_eps(sites: Sequence[CheckpointLayer]) -> float:
    return max((EPS[site.parts[BASE].dtype] for site in sites if BASE in site.parts), default=0.0)


def _collect_columns(mixing: StaticMixing, depth: int) -> Columns:
    """Return H_pre, H_post and H_res of the first `depth` layers by key."""
    parts = {"h_pre": mixing.h_pre, "h_post": mixing.h_post, "h_res": mixing.h_res}
    return {key: part[:depth] for key, part in parts.items() if part is not None}


def _measure(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return the largest difference between two coefficients in each layer, (L). nan equals nan."""
    with np.errstate(invalid="ignore"):
        difference = np.where(np.isnan(ours) & np.isnan(theirs), 0.0, np.abs(ours - theirs))
    found: np.ndarray = difference.reshape(len(ours), -1).max(1)
    return found


def _find_matches(
    ours: Columns, swapped: np.ndarray, theirs: Columns, tolerance: float
) -> tuple[tuple[int, ...], dict[str, Match | None]]:
    """Return the order of streams under which most coefficients match, and these matches.

    If several orders are equally good, prefer the one under which more coefficients are unchanged.
    """
    best: tuple[tuple[int, int], tuple[int, ...], dict[str, Match | None]] | None = None
    for order in _list_orders(ours, theirs):
        permuted = {key: _permute_streams(part, order) for key, part in ours.items()}
        turned = [_permute_streams(swapped, order), permuted["h_res"].swapaxes(1, 2)]
        matches = {
            key: _find_match(part, turned if key == "h_res" else [], theirs[key], tolerance)
            for key, part in permuted.items()
        }
        known = [match for match in matches.values() if match is not None]
        score = (len(known), sum(match.is_plain for match in known))
        if best is None or score > best[0]:
            best = score, order, matches
    assert best is not None, "the identity is an order"
    identity = tuple(range(len(best[1])))
    # If nothing matches under any order, report the streams as not permuted.
    return (identity, best[2]) if not best[0][0] else (best[1], best[2])


def _list_orders(ours: Columns, theirs: Columns) -> Iterator[tuple[int, ...]]:
    """Yield the orders of streams to try, the identity first: all orders of few streams, else one that fits best."""
    n = ours["h_res"].shape[1]
    if n <= MAX_PERMUTED:
        yield from permutations(range(n))
        return
    yield tuple(range(n))
    own, other = _sign(ours), _sign(theirs)
    free = set(range(n))
    order = []
    for row in other:
        nearest = min(free, key=lambda i: float(np.abs(own[i] - row).max()))
        free.remove(nearest)
        order.append(nearest)
    yield tuple(order)


def _sign(columns: Columns) -> np.ndarray:
    """Return values that identify each stream in any order, (n, ...): its weights and its diagonal entry of H_res."""
    parts = [part.diagonal(axis1=1, axis2=2) if part.ndim == 3 else part for part in columns.values()]
    return np.concatenate(parts).T


def _permute_streams(part: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """Reorder the streams of a coefficient, (L, n), or on both axes of a matrix, (L, n, n)."""
    places = list(order)
    return part[:, places][:, :, places] if part.ndim == 3 else part[:, places]


def _find_match(ours: np.ndarray, turned: Sequence[np.ndarray], theirs: np.ndarray, tolerance: float) -> Match | None:
    """Return the simplest way in which a coefficient follows from the other in every layer; None if there is none.

    turned: versions of the transposed coefficient: computed from transposed logits, and transposed itself.
    """
    for shift in SHIFTS:
        wanted = _cut(theirs, shift)
        for transposed, part in ((False, ours), *((True, part) for part in turned)):
            made = _cut(part, -shift)
            if len(made) and (_measure(made, wanted) <= tolerance).all():
                return Match(shift, transposed)
    return None


def _apply(part: np.ndarray, match: Match) -> np.ndarray:
    """Return a coefficient of the first checkpoint, transposed and shifted as a match says."""
    moved = _cut(part, -match.shift)
    return moved.swapaxes(1, 2) if match.transposed else moved


def _cut(part: np.ndarray, shift: int) -> np.ndarray:
    """Return a coefficient without its last layer for a shift of 1, without its first for -1."""
    return part[: len(part) - shift] if shift >= 0 else part[-shift:]


def _compare_sizes(stored: Sequence[StoredMixing], found: Comparison, depth: int) -> bool | None:
    """Return whether the row sizes of all projections follow as the coefficients do; None if they cannot be read."""
    columns: list[Mapping[str, np.ndarray]] = []
    for one in stored:
        sizes = measure_row_sizes(one.sites[:depth], one.mixing.h_res.shape[1])
        if sizes is None:
            return None
        columns.append(sizes)
    ours, theirs = columns
    if ours.keys() != theirs.keys():
        return False
    for key, part in ours.items():
        match = found.matches.get(key) or Match(0, transposed=False)
        made, wanted = _apply(_permute_streams(part, found.order), match), _cut(theirs[key], match.shift)
        if not np.allclose(made, wanted, rtol=max(SAME_SIZE, found.tolerance), atol=0, equal_nan=True):
            return False
    return True
