"""What one layer computes, once more in plain torch: the branches of `plain_stack` with their norms and functions.

Shapes: B sequences, T tokens, C width.
"""

import math

import torch

from mhc_core.spec import RunSpec

Tensor = torch.Tensor
EPS = 1e-20  # of every norm, as in mHC

LAYERS_OF_A_BLOCK = {"mlp": 1, "conv": 1, "transformer": 2, "pair": 3}


def branch(spec: RunSpec, p: dict[str, Tensor], layer: int, u: Tensor, values: list[Tensor]) -> Tensor:
    """F_l(u), (B, T, C), with its pre-norm and its scaling. `values` gets those of every attention layer, (B, T, C).

    layernorm_scaling: arXiv 2502.05795. skipinit: arXiv 2002.10444. rezero: arXiv 2003.04887.
    """
    block = spec.block
    own = {name.removeprefix(f"branches.{layer}."): p[name] for name in p if name.startswith(f"branches.{layer}.")}
    if block.norm_position == "pre":
        u = norm(u, block.norm)
    if block.scaling == "layernorm_scaling":
        u = u / math.sqrt(1 + layer // LAYERS_OF_A_BLOCK[block.kind])
    place = layer % LAYERS_OF_A_BLOCK[block.kind]
    if block.kind == "transformer" and place == 0:
        w_v = own["w_qkv"][2 * spec.width :]
        values.append(torch.cat([u @ w.T for w in w_v.chunk(block.heads)], 2))
        seen = values[-1]
        if block.value_residual != "off" and layer:
            seen = (seen + values[0]) / 2
            if block.value_residual == "learned":
                seen = own["value_weights"][0] * values[-1] + own["value_weights"][1] * values[0]
        y = attend(u, seen, own, block.heads)
    elif block.kind == "pair" and place < 2:
        y = multiply_triangles(u, own, block.norm, is_outgoing=place == 0)
    elif block.kind == "conv":
        y = convolve(activate(convolve(u, own["w_in"]), block.activation), own["w_out"])
    else:
        y = activate(u @ own["w_in"].T, block.activation)
        y = y @ own["w_out"].T if block.mlp_ratio else y
    y = y * block.branch_scale
    if block.scaling == "inv_sqrt_depth":
        y = y / math.sqrt(spec.depth)
    return y * own["gain"] if "gain" in own else y


def attend(u: Tensor, values: Tensor, own: dict[str, Tensor], heads: int) -> Tensor:
    """Causal attention (arXiv 1706.03762, Eq. 1), one head at a time, without biases."""
    width, tokens = u.shape[2], u.shape[1]
    size, found = width // heads, []
    w_q, w_k = own["w_qkv"][:width], own["w_qkv"][width : 2 * width]
    is_past = torch.tensor([[s <= t for s in range(tokens)] for t in range(tokens)])
    for head in range(heads):
        rows = slice(head * size, (head + 1) * size)
        q, k, v = u @ w_q[rows].T, u @ w_k[rows].T, values[:, :, rows]
        logits = torch.where(is_past, q @ k.transpose(1, 2) / math.sqrt(size), -torch.inf)
        scores = torch.exp(logits - logits.max(-1, keepdim=True).values.detach())
        found.append(scores / scores.sum(-1, keepdim=True) @ v)
    return torch.cat(found, dim=-1) @ own["w_out"].T


def convolve(u: Tensor, w: Tensor) -> Tensor:
    """3 x 3 with zeros around; token t stands in row t // side and column t % side. w: (C, C, 3, 3)."""
    side = math.isqrt(u.shape[1])
    image = torch.zeros(u.shape[0], side + 2, side + 2, u.shape[2], dtype=u.dtype)
    image[:, 1:-1, 1:-1] = u.reshape(u.shape[0], side, side, u.shape[2])
    total = torch.zeros_like(u).reshape(u.shape[0], side, side, u.shape[2])
    for down in range(3):
        for right in range(3):
            total = total + image[:, down : down + side, right : right + side] @ w[:, :, down, right].T
    return total.reshape(u.shape)


def multiply_triangles(u: Tensor, own: dict[str, Tensor], kind: str, *, is_outgoing: bool) -> Tensor:
    """AlphaFold's triangle multiplication (supplement, Algorithms 11 and 12): sum_k a_ik b_jk, or sum_k a_ki b_kj."""
    side, width = math.isqrt(u.shape[1]), u.shape[2]
    a, b, gate_a, gate_b, gate = (u @ own["w_in"][k * width : (k + 1) * width].T for k in range(5))
    a, b = a * sigmoid(gate_a), b * sigmoid(gate_b)
    joined = []
    for i in range(side):
        for j in range(side):
            corners = [
                (i * side + k, j * side + k) if is_outgoing else (k * side + i, k * side + j) for k in range(side)
            ]
            joined.append(sum((a[:, one] * b[:, other] for one, other in corners), torch.zeros_like(a[:, 0])))
    return sigmoid(gate) * (norm(torch.stack(joined, dim=1), kind) @ own["w_out"].T)


def find_alpha(spec: RunSpec) -> float:
    """By how much DeepNorm enlarges what passes a layer by: (2 N)^(1/4) of N = L / 2 blocks (arXiv 2203.00555)."""
    return (2 * spec.depth / 2) ** 0.25 if spec.block.scaling == "deepnorm" else 1.0


def sigmoid(t: Tensor) -> Tensor:
    """1 / (1 + exp(-t))."""
    return 1 / (1 + torch.exp(-t))


def activate(x: Tensor, kind: str) -> Tensor:
    """The pointwise functions as their papers print them; GELU with the error function (arXiv 1606.08415)."""
    if kind == "gelu":
        return x * (1 + torch.erf(x / math.sqrt(2))) / 2
    return {"relu": x * (x > 0), "silu": x * sigmoid(x), "tanh": torch.tanh(x), "linear": x}[kind]


def rms(x: Tensor) -> Tensor:
    """sqrt(mean x^2 + eps) over the last axis, which stays."""
    return torch.sqrt((x * x).mean(-1, keepdim=True) + EPS)


def norm(x: Tensor, kind: str) -> Tensor:
    """RMSNorm (arXiv 1910.07467) or LayerNorm (arXiv 1607.06450), without gain and bias."""
    return x / rms(x) if kind == "rmsnorm" else (x - x.mean(-1, keepdim=True)) / rms(x - x.mean(-1, keepdim=True))
