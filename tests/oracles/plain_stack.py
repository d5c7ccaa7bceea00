"""The stack and its measurements once more, in float64 under plain autograd: loops over streams, and sums as printed.

Written from the equations alone. Sources by number: HC = arXiv 2409.19606, Frac-Connections = 2503.14125,
mHC = 2512.24880, mHC-lite = 2601.05732, KromHC = 2601.21579. Of the product it takes the parameters, as data by name.

Shapes: B sequences, T tokens, n streams or parts of the width, C width. A state is a list of n streams (B, T, C), or
of n parts (B, T, C / n). Coefficients are (n) or (n, n), after (B, T) where they differ from token to token.
"""

from dataclasses import dataclass
from itertools import permutations

import torch

from mhc_core.spec import RunSpec
from tests.oracles.plain_branches import Tensor, branch, norm, rms, sigmoid
from tests.oracles.plain_families import MAPS

State = list[Tensor]


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
    state = expand(spec, embed(spec, p) if embedded is None else embedded)
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
        state = write(spec, post, res, state, y)
        found.states.append(state)
        found.reads.append(u)
        found.outputs.append(y)
        found.mixings.append((pre, post, res))
    out = finish(spec, weigh(passed, state)) if is_late else collapse(spec, p, state)
    found.loss = find_loss(spec, p, out)
    return found


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
    if spec.connection.kind == "frac":
        size = spec.width // n
        return [x[:, :, i * size : (i + 1) * size] for i in range(n)]
    return [1.0 * x for _ in range(n)]


def collapse(spec: RunSpec, p: dict[str, Tensor], state: State) -> Tensor:
    """(B, T, C): parts side by side, or the streams' sum (HC), mean, or head (DeepSeek-V4); then the final norm."""
    if spec.connection.kind == "frac":
        out = torch.cat(state, dim=-1)
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
    """sum_j weights[..., j] x[j]."""
    total = torch.zeros_like(state[0])
    for j, x in enumerate(state):
        total = total + weights[..., j, None] * x
    return total


def read(spec: RunSpec, pre: Tensor, state: State) -> Tensor:
    """u (B, T, C). Frac reads all mixed parts side by side: row i of `pre` makes part i (Frac-Connections, Eq. 8)."""
    if spec.connection.kind == "frac":
        return torch.cat([weigh(pre[..., i, :], state) for i in range(len(state))], dim=-1)
    return weigh(pre, state)


def write(spec: RunSpec, post: Tensor, res: Tensor, state: State, y: Tensor) -> State:
    """The next state. DeepNorm enlarges what passes by, alpha = (2 N)^(1/4) of N = L / 2 blocks (arXiv 2203.00555)."""
    alpha = (2 * spec.depth / 2) ** 0.25 if spec.block.scaling == "deepnorm" else 1.0
    n, size = len(state), spec.width // len(state)
    after = []
    for i in range(n):
        branch_part = y[:, :, i * size : (i + 1) * size] if spec.connection.kind == "frac" else y
        after.append(alpha * weigh(res[..., i, :], state) + post[..., i, None] * branch_part)
    if spec.block.norm_position != "post":
        return after
    if spec.connection.kind == "frac":
        return expand(spec, norm(torch.cat(after, dim=-1), spec.block.norm))
    return [norm(x, spec.block.norm) for x in after]


# Coefficients.


def find_coefficients(spec: RunSpec, p: dict[str, Tensor], layer: int, state: State) -> tuple[Tensor, Tensor, Tensor]:
    """H_pre (n) (of frac (n, n)), H_post (n) and H_res (n, n), after (B, T) where they come from the token."""
    kind = spec.connection.kind
    if kind in ("none", "residual"):
        one = torch.ones(1, dtype=torch.float64)
        return one, one, one[:, None] * (kind == "residual")
    own = select_mixing(spec, p, layer)
    if kind == "hc":
        return find_hyper(own, state, spec.connection.dynamic)
    if kind == "frac":
        return find_fractional(own, state, spec.connection.dynamic)
    t_pre, t_post, t_res = own["b_pre"], own["b_post"], own["b_res"]
    if spec.connection.dynamic:  # mHC, Eq. 7
        is_per_stream = spec.connection.init == "lucidrains"
        v = torch.cat([norm(x, "rmsnorm") for x in state] if is_per_stream else state, dim=-1)
        n, raw = len(state), (v @ own["phi"]) / rms(v)
        t_pre = own["a"][0] * raw[..., :n] + t_pre
        t_post = own["a"][1] * raw[..., n : 2 * n] + t_post
        t_res = own["a"][2] * raw[..., 2 * n :] + t_res
    return sigmoid(t_pre) + find_sinkhorn_eps(spec), 2 * sigmoid(t_post), find_residual_matrix(spec, t_res)


def select_mixing(spec: RunSpec, p: dict[str, Tensor], layer: int) -> dict[str, Tensor]:
    """One layer's mixing parameters: a module of its own where they are dynamic, else a row of all layers'."""
    prefix = f"connection.mixers.{layer}." if spec.connection.dynamic else "connection."
    stacks = ("connection.output.", "connection.expand_scale")
    names = [name for name in p if name.startswith(prefix) and not name.startswith(stacks)]
    return {name.removeprefix(prefix): p[name] if spec.connection.dynamic else p[name][layer] for name in names}


def find_hyper(own: dict[str, Tensor], state: State, dynamic: bool) -> tuple[Tensor, Tensor, Tensor]:
    """HC, Eq. 10 to 13: A_m, B and A_r with row j for stream j, its norm over C; row j of A_r says where j goes."""
    a_m, b, a_r = own["a_m"], own["b"], own["a_r"]
    if dynamic:
        normed = [norm(x, "rmsnorm") for x in state]
        a_m = a_m + own["s_a"] * torch.stack([torch.tanh(x @ own["w_m"][:, 0]) for x in normed], dim=-1)
        b = b + own["s_b"] * torch.stack([torch.tanh(x @ own["w_b"][:, 0]) for x in normed], dim=-1)
        a_r = a_r + own["s_a"] * torch.stack([torch.tanh(x @ own["w_r"]) for x in normed], dim=-2)
    return a_m, b, a_r.transpose(-1, -2)


def find_fractional(own: dict[str, Tensor], state: State, dynamic: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Frac-Connections, Eq. 8 and 11 to 14: u = Y^T H and H' = B^T F(u) + A^T H; Y and A share a gate."""
    y, b, a = own["y"], own["b"], own["a"]
    if dynamic:
        normed = [norm(x, "rmsnorm") for x in state]
        y = y + own["s_a"] * torch.stack([torch.tanh(x @ own["w_y"]) for x in normed], dim=-2)
        b = b + own["s_b"] * torch.stack([torch.tanh(x @ own["w_b"][:, 0]) for x in normed], dim=-1)
        a = a + own["s_a"] * torch.stack([torch.tanh(x @ own["w_a"]) for x in normed], dim=-2)
    return y.transpose(-1, -2), b, a.transpose(-1, -2)


def find_residual_matrix(spec: RunSpec, t: Tensor) -> Tensor:
    """H_res (..., n, n) from its logits (..., m)."""
    kind, n = spec.connection.kind, spec.streams
    if kind == "mhc":
        square = t.reshape(*t.shape[:-1], n, n)
        rounds, eps = spec.connection.sinkhorn_iters, find_sinkhorn_eps(spec)
        return sinkhorn_of_deepseek(square, rounds, eps) if eps else sinkhorn(square, rounds)
    if kind == "mhc_lite":
        return combine_permutations(t, n)
    if kind == "kromhc":
        return multiply_pairs(t, n)
    if kind in MAPS:
        return MAPS[kind](t, n, spec.depth)
    assert kind == "identity_hc", f"no plain form of {kind}"
    return torch.eye(n, dtype=t.dtype)


def sinkhorn(t: Tensor, rounds: int) -> Tensor:
    """mHC, Eq. 8 and 9: exp, then columns first and rows last, so many rounds."""
    m = torch.exp(t - t.detach().amax((-1, -2), keepdim=True))
    for _ in range(rounds):
        m = m / m.sum(-2, keepdim=True)
        m = m / m.sum(-1, keepdim=True)
    return m


def sinkhorn_of_deepseek(t: Tensor, rounds: int, eps: float) -> Tensor:
    """DeepSeek-V4's form, whose comb[j, k] goes from stream j to stream k: H_res is its transpose."""
    comb = torch.exp(t.transpose(-1, -2))
    comb = comb / comb.sum(-1, keepdim=True) + eps
    comb = comb / (comb.sum(-2, keepdim=True) + eps)
    for _ in range(rounds - 1):
        comb = comb / (comb.sum(-1, keepdim=True) + eps)
        comb = comb / (comb.sum(-2, keepdim=True) + eps)
    return comb.transpose(-1, -2)


def find_sinkhorn_eps(spec: RunSpec) -> float:
    """What DeepSeek-V4 adds to sums, to H_pre and to the head."""
    return spec.connection.sinkhorn_eps if spec.connection.kind == "mhc" else 0.0


def combine_permutations(t: Tensor, n: int) -> Tensor:
    """mHC-lite: sum_k softmax(t)_k P_k over all n! permutations, in lexical order; P_k x [i] = x[order[i]]."""
    weights = torch.exp(t) / torch.exp(t).sum(-1, keepdim=True)
    total = torch.zeros(*t.shape[:-1], n, n, dtype=t.dtype)
    for k, order in enumerate(permutations(range(n))):
        matrix = torch.zeros(n, n, dtype=t.dtype)
        for i in range(n):
            matrix[i, order[i]] = 1.0
        total = total + weights[..., k, None, None] * matrix
    return total


def multiply_pairs(t: Tensor, n: int) -> Tensor:
    """KromHC: Kronecker product of [[p, 1 - p], [1 - p, p]], p = sigmoid(t); the first factor has the highest digit."""
    p = sigmoid(t)
    factors = p.shape[-1]
    rows = []
    for i in range(n):
        row = []
        for j in range(n):
            entry = torch.ones_like(p[..., 0])
            for k in range(factors):
                bit = factors - 1 - k
                is_same = (i >> bit) % 2 == (j >> bit) % 2
                entry = entry * (p[..., k] if is_same else 1 - p[..., k])
            row.append(entry)
        rows.append(torch.stack(row, dim=-1))
    return torch.stack(rows, dim=-2)
