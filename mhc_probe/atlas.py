"""Measure the atlas of someone's model: the effect of every single cut of a stream or branch on its output.

Each cut needs a forward pass of the whole model, because only the model's own code can run what is between its layers.

Shapes: L layers, n streams, K ways of cutting, N samples.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from mhc_core.metrics.effects import measure_distance, measure_divergence
from mhc_core.record.stages import AtlasFrame, Cut
from mhc_core.spec import EditSpec, SpecError
from mhc_probe.adapter import Adapter
from mhc_probe.base import join_base
from mhc_probe.edits import ModelEdits, UneditedPass
from mhc_probe.recording import compiled
from mhc_probe.recording.outputs import LossFunction, find_logits, find_loss, keep_rows
from mhc_probe.recording.parameter_norms import ParameterNorms
from mhc_probe.recording.pass_recorder import PassRecorder
from mhc_probe.recording.unchanged import keep_unchanged

if TYPE_CHECKING:
    from mhc_probe.attachment import Attachment

KEYS = ("loss", "output_kl", "effect_last")
OF_STREAMS = (Cut(what="stream", do="zero"), Cut(what="stream", do="mean"), Cut(what="h_res", do="identity"))
OF_BRANCHES = (Cut(what="branch", do="zero"), Cut(what="branch", do="mean"))
Batch = Mapping[str, Any] | Callable[[], object]


class _Output(NamedTuple):
    """The output of a pass: the loss, nan if there is none, and logits (N, V) or None."""

    loss: float
    logits: torch.Tensor | None


@torch.no_grad()
def measure_atlas(base: "Attachment", batch: Batch, progress: Callable[[float], object] | None = None) -> AtlasFrame:
    """Return the atlas of a model: the effect of every cut that it allows. The model is unchanged afterwards.

    Parameters
    ----------
    base: an attachment without edits, which has recorded nothing.
    batch: keyword arguments of the model, or a function that calls it once.
    progress: called with the fraction of cuts that are done, from 0 to 1.

    Raises
    ------
    SpecError
        If nothing of the model can be cut.
    """
    model = base.model
    run: Callable[[], object] = batch if callable(batch) else lambda: model(**batch)
    with compiled.run_as_written(), keep_unchanged(model):
        with base:
            output = _call_model(model, run, None, base.loss)
        recorded, (adapter,), latest = join_base(base), base.candidates.adapters, base.get_latest()
        rows = None if output.logits is None else keep_rows(output.logits, latest.mask)
        atlas = _ModelAtlas(base, adapter, UneditedPass(recorded, latest, {}), run, output._replace(logits=rows))
        values = np.full((len(KEYS), len(atlas.cuts), len(recorded.layers), atlas.streams), np.nan, dtype=np.float32)
        for done, (place, found) in enumerate(atlas.measure(), 1):
            values[(slice(None), *place)] = found
            if progress is not None:
                progress(done / atlas.count)
    values[~np.isfinite(values)] = np.nan
    loss = atlas.output.loss
    return AtlasFrame(
        cuts=atlas.cuts,
        loss_base=loss if np.isfinite(loss) else None,
        values=dict(zip(KEYS, values, strict=True)),
        seeds=1,
    )


class _ModelAtlas:
    """Runs a model once for each cut, and compares the output with that of the recorded pass."""

    def __init__(
        self,
        attachment: "Attachment",
        adapter: Adapter,
        base: UneditedPass,
        run: Callable[[], object],
        output: "_Output",
    ) -> None:
        self.model, self.loss = attachment.model, attachment.loss
        self.adapter, self.base, self.run, self.output = adapter, base, run, output
        possible = [set(adapter.edits_for(layer)) for layer in base.recorded.layers]
        self.cuts = [cut for cut in OF_STREAMS if any(cut.what in layer for layer in possible)]
        if not self.cuts:
            self.cuts = [cut for cut in OF_BRANCHES if any(cut.what in layer for layer in possible)]
        if not self.cuts:
            raise SpecError("model", type(self.model).__name__, "a model whose streams or branches can be edited")
        self.streams = base.recorded.state_nNC.shape[0]
        self.places = [
            (k, layer, stream)
            for layer, whats in enumerate(possible)
            for k, cut in enumerate(self.cuts)
            if cut.what in whats
            for stream in range(self.streams)
        ]

    @property
    def count(self) -> int:
        """Return how many cuts the atlas of the model has."""
        return len(self.places)

    def measure(self) -> Iterator[tuple[tuple[int, int, int], list[float]]]:
        """Yield the indices of each cut (cut, layer, stream), and its loss, KL divergence and last state's distance."""
        for k, layer, stream in self.places:
            cut = self.cuts[k]
            yield (k, layer, stream), self._measure_cut(cut.what, cut.do, layer, stream)

    def _measure_cut(self, what: str, do: str, layer: int, stream: int) -> list[float]:
        """Run the model with one cut; return loss, KL divergence of the output, and distance of the last state."""
        index = None if what == "branch" else stream
        edit = EditSpec.model_validate({"layers": (layer, layer), "index": index, "what": what, "do": do})
        recorder = PassRecorder(ParameterNorms([]))
        edits = ModelEdits([edit], self.adapter, self.base)
        with ExitStack() as stack, keep_unchanged(self.model):
            for undo in self.adapter.register_hooks(recorder, edits):
                stack.callback(undo)
            output = _call_model(self.model, self.run, self.base.latest.mask, self.loss)
        last = next(reversed(recorder.passes[-1].layers.values())).after
        assert last is not None, "the last layer has returned"
        x_nNC = self.adapter.to_streams(last.values)
        kept = edits.find_kept(x_nNC.shape[1], x_nNC.device)
        x_nNC = x_nNC if kept is None else x_nNC.index_select(1, kept)
        base = self.base.recorded.layers[-1].after_nNC
        return [
            output.loss,
            _measure_output_divergence(self.output, output),
            float(measure_distance(x_nNC.to(base.device), base)),
        ]


def _measure_output_divergence(base: _Output, found: _Output) -> float:
    """Return the mean KL divergence of the logits from those without a cut, in nats; nan if there are none."""
    if base.logits is None or found.logits is None:
        return float("nan")
    return float(measure_divergence(base.logits, found.logits))


def _call_model(
    model: nn.Module, run: Callable[[], object], mask: torch.Tensor | None, compute: LossFunction | None
) -> _Output:
    """Call the model once, and return its loss and the logits of tokens that are not padding."""
    found: list[Any] = []
    handle = model.register_forward_hook(lambda module, args, output: found.append(output))
    try:
        run()
    finally:
        handle.remove()
    if len(found) != 1:
        raise SpecError("batch", f"{len(found)} calls of the model", "one call")
    loss, logits = find_loss(found[0], compute), find_logits(found[0])
    rows = None if logits is None else keep_rows(logits, mask)
    return _Output(float("nan") if loss is None else float(loss.detach()), rows)
