"""The atlas of a stack: what every single cut does to its output.

A cut at layer l leaves the layers below as they are, so that only those above are computed again. The cuts of one layer
are computed together, as one batch of sequences.

Shapes: L layers, n streams, K ways of cutting, V cuts of one layer, N samples.
"""

from collections.abc import Iterator

import numpy as np
import torch

from mhc_core.connections import Mixing
from mhc_core.cost.estimates import Estimate, estimate_atlas_work
from mhc_core.cost.rates import DEFAULT_RATES, Rates
from mhc_core.measure.run import choose_device
from mhc_core.measure.training import train
from mhc_core.metrics.effects import measure_distance, measure_divergence
from mhc_core.record.stages import AtlasFrame, Cut, ProgressFrame
from mhc_core.spec import EditSpec, RunSpec, SpecError
from mhc_core.spec.edit import list_possible
from mhc_core.stack import Stack, build_stack

BATCH_BYTES = 64 * 2**20  # of states that are computed together
KEYS = ("loss", "output_kl", "effect_last")
Array = np.ndarray


def list_cuts(spec: RunSpec) -> list[Cut]:
    """List the ways of cutting: a stream becomes 0, or its mean over tokens, or stops taking from the others.

    A single stream takes from none; where layers read earlier outputs, the branch's output is cut.
    """
    if not spec.family.has_mixing:
        return [Cut(what="branch", do="zero"), Cut(what="branch", do="mean")]
    cuts = [Cut(what="stream", do="zero"), Cut(what="stream", do="mean")]
    return [*cuts, Cut(what="h_res", do="identity")] if "h_res" in list_possible(spec.family) else cuts


def estimate_atlas(spec: RunSpec, rates: Rates = DEFAULT_RATES) -> Estimate:
    """Return predicted cost of `measure_atlas`."""
    return estimate_atlas_work(spec, len(list_cuts(spec)) * spec.streams, rates)


def measure_atlas(spec: RunSpec) -> Iterator[ProgressFrame | AtlasFrame]:
    """Measure every cut of every layer, of the trained stack where the spec trains. Closing the generator stops it.

    Raises
    ------
    SpecError
        If the spec has edits, or asks for a device that this machine lacks.
    """
    if spec.edits:
        raise SpecError("edits", len(spec.edits), "no edits: an atlas is of the stack without them")
    device, found, bases = choose_device(spec), [], []
    for seed in range(spec.seeds):
        stack = build_stack(spec.model_copy(update={"seed": spec.seed + seed})).to(device)
        if spec.train.steps:
            for _ in train(stack):
                pass
            stack.input.set_batch(None)
        atlas = _Atlas(stack)
        bases.append(atlas.loss)
        maps = []
        for layer in range(spec.depth):
            maps.append(atlas.cut(layer))
            yield ProgressFrame(stage="atlas", done=(seed + (layer + 1) / spec.depth) / spec.seeds)
        found.append(np.stack(maps, axis=2))
    values = np.median(found, axis=0).astype(np.float32)
    loss = float(np.median(bases))
    yield AtlasFrame(
        cuts=list_cuts(spec),
        loss_base=loss if np.isfinite(loss) else None,
        values=dict(zip(KEYS, values, strict=True)),
        seeds=spec.seeds,
    )


class _Atlas:
    """One stack without cuts, and what its cuts do."""

    @torch.no_grad()
    def __init__(self, stack: Stack) -> None:
        self.stack, self.axis = stack, stack.connection.sample_axis
        static = stack.connection.static_mixing()
        self.rows = None if static is None else [Mixing(*row) for row in zip(*static, strict=True)]
        self.states = [stack.embed()]
        stack.climb(self.states[0], lambda _, output: self.states.append(output.state))
        self.last = stack.connection.streams(self.states[-1])
        out = stack.collapse(self.states[-1])
        self.loss, self.logits = float(stack.input.loss(out)), stack.input.read_out(out)
        self.cuts = [(cut, stream) for cut in list_cuts(stack.spec) for stream in range(stack.spec.streams)]

    @torch.no_grad()
    def cut(self, layer: int) -> Array:
        """Return loss, divergence and distance of all cuts of a layer, (3, K, n), float64."""
        size = self.states[layer].numel() * self.states[layer].element_size()
        together = max(1, BATCH_BYTES // (4 * size))
        rows = []
        for first in range(0, len(self.cuts), together):
            rows += self._follow(layer, self.cuts[first : first + together])
        streams = self.stack.spec.streams
        return np.array(rows).T.reshape(len(KEYS), len(self.cuts) // streams, streams)

    def _follow(self, layer: int, cuts: list[tuple[Cut, int]]) -> list[list[float]]:
        """Compute some cuts of a layer, and the layers above it, for all of them together."""
        state = torch.cat([self._cut_one(layer, cut, stream) for cut, stream in cuts], self.axis)
        for above in range(layer + 1, self.stack.spec.depth):
            state = self.stack.layer(above, state, self._get_row(above)).state
        return [self._measure(part) for part in state.chunk(len(cuts), self.axis)]

    def _cut_one(self, layer: int, cut: Cut, stream: int) -> torch.Tensor:
        index = None if cut.what == "branch" else stream
        edit = EditSpec.model_validate({"layers": (layer, layer), "index": index, "what": cut.what, "do": cut.do})
        with self.stack.with_edits(edit):
            return self.stack.layer(layer, self.states[layer], self._get_row(layer)).state

    def _get_row(self, layer: int) -> Mixing | None:
        return None if self.rows is None else self.rows[layer]

    def _measure(self, state: torch.Tensor) -> list[float]:
        out = self.stack.collapse(state)
        logits = self.stack.input.read_out(out)
        is_known = logits is not None and self.logits is not None
        return [
            float(self.stack.input.loss(out)),
            float(measure_divergence(self.logits, logits)) if is_known else float("nan"),  # type: ignore[arg-type]
            float(measure_distance(self.stack.connection.streams(state), self.last)),
        ]
