"""The lens of a stack: what its own read-out predicts from the state after each layer, and the information in each
stream.

The logit lens applies the read-out to each state as if it were the last one: to the whole state, to the state with all
but some streams set to 0, and to the output of a branch, expanded to streams like an embedding. It compares the softmax
of the logits with that of the stack's output. Edits are included.

Linear probes measure the information in each stream: see `linear_probe.py`.

Shapes: L layers, R = L + 1 rows (the embedding, then the state after each layer), n streams, S subsets of them,
N samples, C width, P targets of probes.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import torch

from mhc_core.cost.estimates import Estimate, estimate_lens_work
from mhc_core.cost.rates import DEFAULT_RATES, Rates
from mhc_core.inputs import DigitsEmbedding, TextEmbedding
from mhc_core.layers.connections import Mixing
from mhc_core.measure.linear_probe import PROBED_SAMPLES, Targets, fit_probe, list_targets, measure_chance, show
from mhc_core.measure.run import choose_device
from mhc_core.measure.trained import TrainedStacks
from mhc_core.measure.training import train
from mhc_core.metrics.effects import measure_divergence
from mhc_core.record.stages import LensFrame, ProgressFrame
from mhc_core.spec import RunSpec, SpecError
from mhc_core.stack import Stack, build_stack

# With up to this number of streams all subsets are read; with more, each stream alone, all but one, and all.
MOST_STREAMS = 4
TOP = 5  # number of likeliest tokens in a row
CONTEXT = 40  # number of bytes shown before the position


def list_subsets(streams: int) -> list[tuple[int, ...]]:
    """List the subsets of streams that are read, from single streams to all together."""
    sizes = range(1, streams + 1) if streams <= MOST_STREAMS else (1, streams - 1, streams)
    return [subset for size in sizes for subset in combinations(range(streams), size)]


def estimate_lens(spec: RunSpec, rates: Rates = DEFAULT_RATES) -> Estimate:
    """Predict the cost of `measure_lens` for a spec."""
    return estimate_lens_work(spec, len(list_subsets(spec.streams)) + 2, 2 * PROBED_SAMPLES, rates)


def measure_lens(spec: RunSpec, trained: TrainedStacks | None = None) -> Iterator[ProgressFrame | LensFrame]:
    """Apply the read-out to each state as if it were the last, and fit linear probes to its streams; if the spec
    trains, of the trained stack.

    A stack that is among `trained` is not trained again. Closing the generator stops the computation.

    Raises
    ------
    SpecError
        If the read-out gives no distribution, or the spec asks for a device that this machine lacks.
    """
    check_lens(spec)
    stack = build_stack(spec).to(choose_device(spec))
    if spec.train.steps:
        with stack.with_edits():
            for _ in train(stack) if trained is None else trained.train(stack):
                pass
    yield ProgressFrame(stage="lens", done=0.2)
    values, tokens = read_rows(stack)
    context, target = describe_position(stack)
    targets, accuracies = list_targets(stack), []
    for row in probe_rows(stack, targets):
        accuracies.append(row)
        yield ProgressFrame(stage="lens", done=0.2 + 0.8 * len(accuracies) / (spec.depth + 1))
    fit, test = targets.halves
    yield LensFrame(
        subsets=[list(subset) for subset in list_subsets(spec.streams)],
        values=values | {"probe": np.moveaxis(np.array(accuracies), 2, 0)},
        tokens=tokens,
        context=context,
        target=target,
        targets=list(fit),
        chance=[measure_chance(fit[key], test[key]) for key in fit],
        probed=len(test["position"]),
    )


def check_lens(spec: RunSpec) -> None:
    """Check that the spec's read-out gives a distribution.

    Raises
    ------
    SpecError
        If it does not.
    """
    if spec.input.kind in ("gaussian", "correlated"):
        raise SpecError("input.kind", spec.input.kind, "text, corpus or digits: vectors have no classes to read out")


@torch.no_grad()
def read_rows(stack: Stack) -> tuple[dict[str, np.ndarray], list[list[str]]]:
    """Apply the read-out to each state as if it were the last: divergences from the output in nats, and the likeliest
    tokens at one position.

    Returns
    -------
    Arrays by name: kl (R), of whole states; kl_subsets (R, S); kl_branches (L); top (R, k), probabilities of the
    likeliest tokens. And the names of these tokens.
    """
    layers = list(iterate_layers(stack))
    states, outputs = [state for state, _ in layers], [y for _, y in layers if y is not None]
    final = read_state(stack, states[-1])
    subsets, connection = list_subsets(stack.spec.streams), stack.connection
    kl, parts, top, names = [], [], [], []
    for state in states:
        logits = read_state(stack, state)
        kl.append(measure_divergence(final, logits))
        parts += [measure_divergence(final, read_state(stack, keep(stack, state, subset))) for subset in subsets]
        # The last position of the first sequence; for digits, the first image.
        chances = torch.softmax(logits.flatten(0, -2)[_find_position(logits)].double(), 0)
        likely = torch.topk(chances, min(TOP, len(chances)))
        top.append(likely.values)
        names.append([name_token(stack.spec, int(place)) for place in likely.indices])
    of_branches = [measure_divergence(final, read_state(stack, connection.expand(y))) for y in outputs]
    found = {
        "kl": torch.stack(kl),
        "kl_subsets": torch.stack(parts).view(len(states), len(subsets)),
        "kl_branches": torch.stack(of_branches),
        "top": torch.stack(top),
    }
    return {key: value.cpu().numpy() for key, value in found.items()}, names


@torch.no_grad()
def iterate_layers(stack: Stack) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    """Yield the embedded state and None, then the state after each layer and its branch output; all with edits."""
    if stack.edits.is_on:
        stack.record_base()
    state, values, static = stack.embed(), None, stack.connection.static_mixing()
    yield state, None
    for layer in range(stack.spec.depth):
        row = None if static is None else Mixing(*(part[layer] for part in static))
        output = stack.layer(layer, state, row, values)
        state, values = output.state, output.values
        yield state, output.y


def read_state(stack: Stack, state: torch.Tensor) -> torch.Tensor:
    """Return the logits of a state by the stack's own read-out: (B, T, V), or (B, V) for images."""
    logits = stack.input.read_out(stack.collapse(state))
    assert logits is not None, "checked before"
    return logits


def keep(stack: Stack, state: torch.Tensor, subset: tuple[int, ...]) -> torch.Tensor:
    """Return a state in which all streams but those of a subset are 0."""
    if len(subset) == stack.spec.streams:
        return state
    return stack.connection.join_streams(keep_streams(stack.connection.streams(state), subset), state)


def keep_streams(x_nNC: torch.Tensor, subset: tuple[int, ...]) -> torch.Tensor:
    """Return streams (n, N, C) in which all but those of the subset are 0, even if their entries are not finite."""
    kept = torch.zeros(len(x_nNC), 1, 1, dtype=torch.bool, device=x_nNC.device)
    kept[list(subset)] = True
    return torch.where(kept, x_nNC, 0.0)


def probe_rows(stack: Stack, targets: Targets) -> Iterator[list[list[float]]]:
    """Fit linear probes to the streams of each state, the embedding first; yield accuracies (n, P) on test data."""
    fit, test = targets.halves
    count = len(fit["position"])
    with show(stack, targets.reads):
        for state, _ in iterate_layers(stack):
            x_nNC = stack.connection.streams(state).double()
            yield [fit_probe(x_NC[:count], x_NC[count:], fit, test) for x_NC in x_nNC]


def _find_position(logits: torch.Tensor) -> int:
    return logits.shape[1] - 1 if logits.ndim == 3 else 0


def describe_position(stack: Stack) -> tuple[str, str]:
    """Describe the position whose likeliest tokens are listed: the text up to it, and the token that follows in the
    data.
    """
    if isinstance(stack.input, DigitsEmbedding):
        return "the first image", str(int(stack.input.targets_B[0]))
    assert isinstance(stack.input, TextEmbedding)
    read = [int(byte) for byte in stack.input.ids_BT[0]]
    context = "".join(name_token(stack.spec, byte) for byte in read[-CONTEXT:])
    return context, name_token(stack.spec, int(stack.input.targets_BT[0, -1]))


def name_token(spec: RunSpec, token: int) -> str:
    """Return the name of a class of the read-out: a digit, an ASCII character, or a byte in hexadecimal."""
    if spec.input.kind == "digits":
        return str(token)
    if token == ord("\n"):
        return "\u21b5"
    return chr(token) if 32 <= token < 127 else f"\\x{token:02x}"
