"""The stack once more, in float64 under plain autograd: loops over streams, and sums as printed.

Written from the equations alone; `plain_families` has the formula of every family. Sources by number: HC = arXiv
2409.19606, Frac-Connections = 2503.14125, mHC = 2512.24880. Of the product it takes the parameters, as data by name.

Shapes: B sequences, T tokens, n streams or parts of the width, C width. A state is a list of n streams (B, T, C), or
of n parts (B, T, C / n). Coefficients are (n) or (n, n), after (B, T) where they differ from token to token.
"""

from dataclasses import dataclass
from functools import partial

import torch

from mhc_core.spec import RunSpec
from tests.oracles.plain_branches import Tensor, branch, find_alpha, norm, rms, sigmoid
from tests.oracles.plain_families import COEFFICIENTS, DEPTHS, MAPS, PASSES, State, take, weigh_features


@dataclass
class Climb:
    """What the way up leaves: states 0 to L, and of every layer its input u, output y (B, T, C) and coefficients."""

    states: list[State]
    reads: list[Tensor]
    outputs: list[Tensor]
    mixings: list[tuple[Tensor, Tensor, Tensor]]
    loss: Tensor


def climb(spec: RunSpec, p: dict[str, Tensor], embedded: Tensor | None = None) -> Climb:
    """The whole network of the parameters `p`, from an embedding (B, T, C) that can be given."""
    start = embed(spec, p) if embedded is None else embedded
    if spec.connection.kind in DEPTHS:
        return climb_over_depth(spec, p, start)
    state = expand(spec, start)
    if spec.connection.expand == "scaled":
        state = [p["connection.expand_scale"][i] * x for i, x in enumerate(state)]
    found, values = Climb([state], [], [], [], torch.zeros(())), list[Tensor]()
    passed = torch.tensor([1.0] + [0.0] * (len(state) - 1), dtype=torch.float64)  # what the first layer reads with
    is_late = spec.connection.read_from == "previous"
    for layer in range(spec.depth):
        pre, post, res = find_coefficients(spec, p, layer, state)
        if is_late:
            pre, passed = passed, pre
        u = read(spec, pre, state)
        y = branch(spec, p, layer, u, values)
        if spec.connection.kind in PASSES:
            state = [PASSES[spec.connection.kind](partial(take, p, layer), x) for x in state]
        state = write(spec, post, res, state, y)
        found.states.append(state)
        found.reads.append(u)
        found.outputs.append(y)
        found.mixings.append((pre, post, res))
    out = finish(spec, weigh(passed, state)) if is_late else collapse(spec, p, state)
    found.loss = find_loss(spec, p, out)
    return found


def climb_over_depth(spec: RunSpec, p: dict[str, Tensor], start: Tensor) -> Climb:
    """The whole network where layers read weighted sums of what came before: the states are what is read."""
    depth, reads, outputs, values = DEPTHS[spec.connection.kind], [start], list[Tensor](), list[Tensor]()
    for layer in range(spec.depth):
        outputs.append(branch(spec, p, layer, reads[-1], values))
        found = depth.read(spec, p, reads, outputs, depth.weigh(spec, p, reads, outputs))
        reads.append(norm(found, spec.block.norm) if spec.block.norm_position == "post" else found)
    return Climb([[x] for x in reads], reads[:-1], outputs, [], find_loss(spec, p, finish(spec, reads[-1])))


# What enters and what leaves.


def embed(spec: RunSpec, p: dict[str, Tensor]) -> Tensor:
    """(B, T, C): bytes by a table, pixels times a vector plus their place's, or the vectors that were drawn."""
    if spec.input.kind in ("text", "corpus"):
        return p["input.embedding_VC"][p["input.ids_BT"]]
    if spec.input.kind == "digits":
        return p["input.pixels_BT"][:, :, None] * p["input.pixel_C"] + p["input.place_TC"]
    return p["input.x_BTC"]


def expand(spec: RunSpec, x: Tensor) -> State:
    """n copies of the embedding (HC, section 2.1), or its n parts (Frac-Connections, Eq. 6)."""
    n = spec.streams
    if spec.family.streams == "parts":
        size = spec.width // n
        return [x[:, :, i * size : (i + 1) * size] for i in range(n)]
    return [1.0 * x for _ in range(n)]


def collapse(spec: RunSpec, p: dict[str, Tensor], state: State) -> Tensor:
    """(B, T, C): parts side by side, the state of state and source, or the streams' sum (HC), mean, or head.

    The head is a gated read, or that of DeepSeek-V4. The final norm follows.
    """
    if spec.family.streams == "parts":
        out = torch.cat(state, dim=-1)
    elif spec.family.streams == "source":
        out = state[0]
    elif spec.output == "head" and spec.family.has_head:
        out = weigh(weigh_features(lambda name: p[f"connection.output.gates.{name}"], state), state)
    elif spec.output == "head":
        logits = p["connection.output.b"]
        if spec.connection.dynamic:
            v = torch.cat(state, dim=-1)
            logits = logits + p["connection.output.a"] * (v @ p["connection.output.phi"]) / rms(v)
        weights = sigmoid(logits) + find_sinkhorn_eps(spec)
        out = weigh(weights, state)
    else:
        out = sum(state[1:], state[0]) / (1 if spec.output == "sum" else len(state))
    return finish(spec, out)


def finish(spec: RunSpec, out: Tensor) -> Tensor:
    """What the read-out takes: the final norm, where norms precede the branches."""
    return norm(out, spec.block.norm) if spec.block.norm_position == "pre" else out


def find_loss(spec: RunSpec, p: dict[str, Tensor], out: Tensor) -> Tensor:
    """Cross-entropy in nats of the next byte or of the image's digit, or a linear read-out per token."""
    if spec.input.kind in ("text", "corpus"):
        return cross_entropy(out @ p["input.readout_VC"].T, p["input.targets_BT"])
    if spec.input.kind == "digits":
        return cross_entropy(out.mean(1) @ p["input.readout_KC"].T, p["input.targets_B"])
    return (out * p["input.readout_BTC"]).sum() / (out.shape[0] * out.shape[1])


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean of log sum exp(logits) - logits[target]."""
    chosen = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    largest = logits.detach().amax(-1, keepdim=True)
    return ((logits - largest).exp().sum(-1).log() + largest.squeeze(-1) - chosen).mean()


# One layer: x'[i] = sum_j H_res[i, j] x[j] + H_post[i] F(sum_j H_pre[j] x[j])      (mHC, Eq. 3)


def weigh(weights: Tensor, state: State) -> Tensor:
    """sum_j weights[..., j] x[j], or of features, (B, T, n, C), sum_j weights[..., j, :] * x[j]."""
    total = torch.zeros_like(state[0])
    for j, x in enumerate(state):
        total = total + (weights[..., j, :] if weights.ndim == 4 else weights[..., j, None]) * x
    return total


def read(spec: RunSpec, pre: Tensor, state: State) -> Tensor:
    """u (B, T, C). Frac reads all mixed parts side by side: row i of `pre` makes part i (Frac-Connections, Eq. 8)."""
    if spec.family.streams == "parts":
        return torch.cat([weigh(pre[..., i, :], state) for i in range(len(state))], dim=-1)
    return weigh(pre, state)


def write(spec: RunSpec, post: Tensor, res: Tensor, state: State, y: Tensor) -> State:
    """The next state. DeepNorm enlarges what passes by."""
    alpha, is_parts = find_alpha(spec), spec.family.streams == "parts"
    n, size = len(state), spec.width // len(state)
    after = []
    for i in range(n):
        branch_part = y[:, :, i * size : (i + 1) * size] if is_parts else y
        after.append(alpha * weigh(res[..., i, :], state) + post[..., i, None] * branch_part)
    if spec.block.norm_position != "post":
        return after
    if is_parts:
        return expand(spec, norm(torch.cat(after, dim=-1), spec.block.norm))
    return [norm(x, spec.block.norm) for x in after]


# Coefficients.


def find_coefficients(spec: RunSpec, p: dict[str, Tensor], layer: int, state: State) -> tuple[Tensor, Tensor, Tensor]:
    """H_pre (n) (of frac (n, n)), H_post (n) and H_res (n, n), after (B, T) where they come from the token."""
    kind, own = spec.connection.kind, partial(take, p, layer)
    if kind in COEFFICIENTS:
        return COEFFICIENTS[kind](spec, own, state)
    t_pre, t_post, t_res = own("b_pre"), own("b_post"), own("b_res")
    if spec.connection.dynamic:  # mHC, Eq. 7
        is_per_stream = spec.connection.init == "lucidrains"
        v = torch.cat([norm(x, "rmsnorm") for x in state] if is_per_stream else state, dim=-1)
        n, raw = len(state), (v @ own("phi")) / rms(v)
        t_pre = own("a")[0] * raw[..., :n] + t_pre
        t_post = own("a")[1] * raw[..., n : 2 * n] + t_post
        t_res = own("a")[2] * raw[..., 2 * n :] + t_res
    return sigmoid(t_pre) + find_sinkhorn_eps(spec), 2 * sigmoid(t_post), MAPS[kind](spec, t_res)


def find_sinkhorn_eps(spec: RunSpec) -> float:
    """What DeepSeek-V4 adds to sums, to H_pre and to the head."""
    return spec.connection.sinkhorn_eps if spec.family.iterates else 0.0
