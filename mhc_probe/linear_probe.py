"""Fit linear probes to someone's model: how well each stream of a recorded pass predicts position and tokens.

`mhc_core/measure/linear_probe.py` has the regression and its source. Here probes are fitted on the first half of the
sequences of the pass and tested on the others, so that the halves share no sequence.

Shapes: B sequences, T positions, N samples without padding, n streams, R = L + 1 rows (the state before the layers, and
the state after each), P targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mhc_core.measure.linear_probe import fit_probe, measure_chance
from mhc_probe.attachment import Attachment

TARGETS = ("position", "token", "next")


@dataclass(frozen=True)
class ModelProbes:
    """Accuracies of linear probes on tokens that they are not fitted on.

    Attributes
    ----------
    targets: what is predicted: the position in the sequence, the token there, and the next one.
    accuracy: (P, R, n); nan if a stream has values that are not finite.
    chance: (P), the accuracy of always predicting the class that is most frequent in the data for fitting.
    fitted, tested: numbers of tokens on which probes are fitted and tested; the last token of a sequence is left out.
    """

    targets: tuple[str, ...]
    accuracy: np.ndarray
    chance: np.ndarray
    fitted: int
    tested: int


@torch.no_grad()
def probe_streams(probe: Attachment, ids_BT: torch.Tensor, attention_mask: torch.Tensor | None = None) -> ModelProbes:
    """Fit and test linear probes on every stream of every row of a recorded pass, the edited one if there are edits.

    Parameters
    ----------
    ids_BT: the token ids that the model has read; if several passes were recorded, those of all passes in order.
    attention_mask: (B, T), the mask that the model has received, 0 for padding.

    Raises
    ------
    ValueError
        If the ids are not those of the recorded samples, or there are too few of them.
    RuntimeError
        If no complete forward pass was recorded.
    """
    recorded, _ = probe.choose()
    states = [recorded.state_nNC, *(layer.after_nNC for layer in recorded.layers)]
    real_BT = torch.ones_like(ids_BT, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
    _check_samples(ids_BT, real_BT, states[0].shape[1])
    labels, sequence, is_followed = _list_labels(ids_BT.cpu(), real_BT.cpu())
    is_first = sequence < len(ids_BT) // 2
    halves = [np.flatnonzero(is_followed & is_half) for is_half in (is_first, ~is_first)]
    if not all(len(half) for half in halves):
        raise ValueError("ids_BT: got no two tokens in a row in one half of the sequences, wanted some in each half")
    fit, test = ({key: values[half] for key, values in labels.items()} for half in halves)
    accuracy = [[_fit_halves(x_NC.double(), halves, (fit, test)) for x_NC in x_nNC] for x_nNC in states]
    return ModelProbes(
        targets=TARGETS,
        accuracy=np.moveaxis(np.array(accuracy), 2, 0),
        chance=np.array([measure_chance(fit[key], test[key]) for key in TARGETS]),
        fitted=len(halves[0]),
        tested=len(halves[1]),
    )


def _check_samples(ids_BT: torch.Tensor, real_BT: torch.Tensor, samples: int) -> None:
    """Raise ValueError unless token ids and mask are (B, T) and fit the recorded samples."""
    if ids_BT.ndim != 2 or real_BT.shape != ids_BT.shape:
        shapes = f"{tuple(ids_BT.shape)} and a mask of {tuple(real_BT.shape)}"
        raise ValueError(f"ids_BT: got {shapes}, wanted (B, T) for both")
    if int(real_BT.sum()) != samples:
        raise ValueError(f"ids_BT: got {int(real_BT.sum())} tokens without padding, wanted the {samples} recorded ones")
    if len(ids_BT) < 2:
        raise ValueError("ids_BT: got one sequence, wanted two or more: one half is for fitting, the other for testing")


def _list_labels(ids_BT: torch.Tensor, real_BT: torch.Tensor) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Return the labels that probes predict, the sequence, and whether another token follows, for each sample (N)."""
    following = torch.nn.functional.pad(ids_BT[:, 1:], (0, 1))
    is_followed = torch.nn.functional.pad(real_BT[:, 1:], (0, 1))
    position = real_BT.long().cumsum(1) - 1
    sequence = torch.arange(len(ids_BT)).unsqueeze(1).expand_as(ids_BT)
    grids = dict(zip(TARGETS, (position, ids_BT, following), strict=True))
    labels = {key: grid[real_BT].numpy() for key, grid in grids.items()}
    return labels, sequence[real_BT].numpy(), is_followed[real_BT].numpy()


def _fit_halves(
    x_NC: torch.Tensor, halves: Sequence[np.ndarray], labels: Sequence[dict[str, np.ndarray]]
) -> list[float]:
    """Fit probes on the first half of a stream's samples (N, C), and return their accuracies on the second."""
    parts = [x_NC[torch.from_numpy(half).to(x_NC.device)] for half in halves]
    return fit_probe(parts[0], parts[1], labels[0], labels[1])
