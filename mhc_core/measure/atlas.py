"""The atlas of a stack: the effect of each single cut on its output.

A cut at layer l does not change earlier layers, so only later ones are computed again. The cuts of one layer are
computed together, as one batch of sequences.

Shapes: L layers, n streams (or the largest number of sources over depth that a layer weighs), K ways of cutting.
"""

from collections.abc import Iterator

import numpy as np
import torch

from mhc_core.cost.estimates import Estimate, estimate_atlas_work
from mhc_core.cost.rates import DEFAULT_RATES, Rates
from mhc_core.layers.connections import Mixing
from mhc_core.measure.run import choose_device
from mhc_core.measure.trained import TrainedStacks
from mhc_core.measure.training import train
from mhc_core.metrics.effects import measure_distance, measure_divergence
from mhc_core.record.stages import AtlasFrame, Cut, ProgressFrame
from mhc_core.spec import EditSpec, RunSpec, SpecError
from mhc_core.spec.edit import list_possible
from mhc_core.stack import LayerOutput, Stack, build_stack

BATCH_BYTES = 64 * 2**20  # largest size of the states that are computed together
KEYS = ("loss", "output_kl", "effect_last")
Array = np.ndarray
Cell = tuple[int, int | None]
"""A single cut of a layer: its index in `list_cuts`, and the stream or source; None for the branch's output."""


def list_cuts(spec: RunSpec) -> list[Cut]:
    """List the ways to cut a stream: set it to 0, set it to its mean over tokens, or remove what it receives from other
    streams.

    A single stream has only the first two. With attention over depth, the cuts are of sources and of the branch output.
    Weights of sources that are the same for all tokens cannot be set to their mean.
    """
    possible = list_possible(spec.family)
    if not spec.family.has_mixing:
        cuts = [Cut(what=what, do=do) for what in reversed(possible) for do in ("zero", "mean")]
        return [cut for cut in cuts if (cut.what, cut.do) != ("source", "mean") or spec.family.attends]
    cuts = [Cut(what="stream", do="zero"), Cut(what="stream", do="mean")]
    return [*cuts, Cut(what="h_res", do="identity")] if "h_res" in possible else cuts


def list_cells(spec: RunSpec, layer: int) -> list[Cell]:
    """List the single cuts of a layer: each way of cutting, for each stream or source."""
    stack = spec.edited
    found: list[Cell] = []
    for place, cut in enumerate(list_cuts(spec)):
        if cut.what == "branch":
            found.append((place, None))
        elif cut.what != "source" or layer > 0:
            found += [(place, index) for index in range(stack.count_entries(cut.what, layer))]
    return found


def estimate_atlas(spec: RunSpec, rates: Rates = DEFAULT_RATES) -> Estimate:
    """Predict the cost of `measure_atlas` for a spec."""
    layers = sum((spec.depth - layer) * len(list_cells(spec, layer)) for layer in range(spec.depth))
    return estimate_atlas_work(spec, 2 * layers / (spec.depth * (spec.depth + 1)), rates)


def measure_atlas(spec: RunSpec, trained: TrainedStacks | None = None) -> Iterator[ProgressFrame | AtlasFrame]:
    """Measure the effect of each single cut in each layer; if the spec trains, of the trained stack.

    A stack that is among `trained` is not trained again.

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
            for _ in train(stack) if trained is None else trained.train(stack):
                pass
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
    """Measures the cuts of one stack, for which it keeps the states of the stack without cuts."""

    @torch.no_grad()
    def __init__(self, stack: Stack) -> None:
        self.stack, self.axis = stack, stack.connection.sample_axis
        static = stack.connection.static_mixing()
        self.rows = None if static is None else [Mixing(*row) for row in zip(*static, strict=True)]
        self.states = [stack.embed()]
        self.values: list[torch.Tensor | None] = [None]  # of a value residual, as they enter each layer
        stack.run_layers(self.states[0], self._keep)
        self.last = stack.connection.streams(self.states[-1])
        out = stack.collapse(self.states[-1])
        self.loss, self.logits = float(stack.input.loss(out)), stack.input.read_out(out)
        self.cuts = list_cuts(stack.spec)
        layers = range(stack.spec.depth)
        self.columns = max(1 + (index or 0) for layer in layers for _, index in list_cells(stack.spec, layer))

    @torch.no_grad()
    def cut(self, layer: int) -> Array:
        """Return loss, divergence and distance after each cut of a layer, (3, K, n), float64; nan without a cut."""
        found = np.full((len(KEYS), len(self.cuts), self.columns), np.nan)
        size = max(state.numel() * state.element_size() for state in (self.states[layer], self.states[-1]))
        together = max(1, BATCH_BYTES // (4 * size))
        cells = list_cells(self.stack.spec, layer)
        # The weighted sum of sources that a layer reads is computed by the layer before it.
        for maker, of_sources in ((layer - 1, True), (layer, False)):
            same = [cell for cell in cells if (self.cuts[cell[0]].what == "source") is of_sources]
            for first in range(0, len(same), together):
                group = same[first : first + together]
                for (place, index), row in zip(group, self._follow(layer, maker, group), strict=True):
                    found[:, place, index or 0] = row
        return found

    def _follow(self, layer: int, maker: int, cells: list[Cell]) -> list[list[float]]:
        """Compute a layer with several of its cuts, and all later layers, as one batch; return loss, divergence and
        distance for each cut.
        """
        cut = [self._cut_one(layer, maker, *cell) for cell in cells]
        state = torch.cat([one.state for one in cut], self.axis)
        values = _join([one.values for one in cut])
        for above in range(maker + 1, self.stack.spec.depth):
            output = self.stack.layer(above, state, self._get_row(above), values)
            state, values = output.state, output.values
        return [self._measure(part) for part in state.chunk(len(cells), self.axis)]

    def _keep(self, layer: int, output: LayerOutput) -> None:
        """Store the state and the values that a layer of the base returned."""
        self.states.append(output.state)
        self.values.append(output.values)

    def _cut_one(self, layer: int, maker: int, place: int, index: int | None) -> LayerOutput:
        """Return the output of layer `maker` with one cut."""
        cut = self.cuts[place]
        edit = EditSpec.model_validate({"layers": (layer, layer), "index": index, "what": cut.what, "do": cut.do})
        with self.stack.with_edits(edit):
            return self.stack.layer(maker, self.states[maker], self._get_row(maker), self.values[maker])

    def _get_row(self, layer: int) -> Mixing | None:
        return None if self.rows is None else self.rows[layer]

    def _measure(self, state: torch.Tensor) -> list[float]:
        """Return loss, divergence and distance from the base of a cut stack, from its last state."""
        out = self.stack.collapse(state)
        logits = self.stack.input.read_out(out)
        is_known = logits is not None and self.logits is not None
        return [
            float(self.stack.input.loss(out)),
            float(measure_divergence(self.logits, logits)) if is_known else float("nan"),  # type: ignore[arg-type]
            float(measure_distance(self.stack.connection.streams(state), self.last)),
        ]


def _join(values: list[torch.Tensor | None]) -> torch.Tensor | None:
    """Concatenate the values that the cuts of one layer pass on, (B, T, C) each; None if they pass none on."""
    known = [one for one in values if one is not None]
    return torch.cat(known) if known else None
