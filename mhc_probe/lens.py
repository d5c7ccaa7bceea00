"""Measure the logit lens of someone's model: what its own read-out predicts from the state after each layer.

`mhc_core/measure/lens.py` has the lens of our stacks. Here the caller gives the read-out as a function, because models
differ in the final norm, the sum of streams and the unembedding.

Shapes: L layers, R = L + 1 rows (the state before the layers, and the state after each), n streams, S subsets of them,
N samples without padding, C width, V classes, k of them listed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mhc_core.measure.lens import TOP, keep_streams, list_subsets
from mhc_core.metrics.effects import measure_divergence
from mhc_probe.attachment import Attachment

ReadOut = Callable[[torch.Tensor], torch.Tensor]
"""Takes streams (n, N, C) and returns logits (N, V): the model's final norm, its sum of streams, its unembedding."""


@dataclass(frozen=True)
class ModelLens:
    """KL divergences from the read-out of the last state, in nats, averaged over samples, and predicted classes.

    Attributes
    ----------
    kl: (R), for each state. kl_subsets: (R, S), with only the streams of a subset, the others at 0; `subsets` lists
        the subsets.
    kl_branches: (L), for a branch's output alone, in every stream; nan if it was not recorded.
    likeliest: (R, N), the most likely class of each row.
    top: (R, N, k), the k = 5 most likely classes of each row, the most likely first; all classes if there are fewer.
    top_probability: (R, N, k), their probabilities.
    """

    subsets: list[tuple[int, ...]]
    kl: np.ndarray
    kl_subsets: np.ndarray
    kl_branches: np.ndarray
    likeliest: np.ndarray
    top: np.ndarray
    top_probability: np.ndarray


@torch.no_grad()
def read_layers(probe: Attachment, read_out: ReadOut) -> ModelLens:
    """Apply a read-out to every state of a recorded pass. If there are edits, it is the edited pass.

    Raises
    ------
    RuntimeError
        If no complete forward pass was recorded.
    """
    recorded, _ = probe.choose()
    states = [recorded.state_nNC, *(layer.after_nNC for layer in recorded.layers)]
    streams = len(states[0])
    subsets, logits = list_subsets(streams), [read_out(state) for state in states]
    parts = [read_out(keep_streams(state, subset)) for state in states for subset in subsets]
    branches = [layer.y_NC for layer in recorded.layers]
    of_branches = [None if y is None else read_out(y.expand(streams, *y.shape)) for y in branches]

    def measure_all(found: list[torch.Tensor | None]) -> np.ndarray:
        return np.array([np.nan if one is None else float(measure_divergence(logits[-1], one)) for one in found])

    likely = [torch.topk(one.double().softmax(-1), min(TOP, one.shape[-1])) for one in logits]
    return ModelLens(
        subsets=subsets,
        kl=measure_all([*logits]),
        kl_subsets=measure_all([*parts]).reshape(len(states), len(subsets)),
        kl_branches=measure_all(of_branches),
        likeliest=torch.stack([one.argmax(-1) for one in logits]).cpu().numpy(),
        top=torch.stack([one.indices for one in likely]).cpu().numpy(),
        top_probability=torch.stack([one.values for one in likely]).cpu().numpy(),
    )
