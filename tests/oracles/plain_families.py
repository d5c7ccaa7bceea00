"""The families of 2026 once more, in float64 under plain autograd: maps to H_res, gated reads, and sums over depth.

Written from docs/equations.md alone, one matrix and one entry at a time. `plain_stack` has the rest of the network.

Shapes: B sequences, T tokens, n streams, C width. Logits are (m) or (B, T, m), matrices (n, n) or (B, T, n, n).
"""

import math
from collections.abc import Callable

import torch

from mhc_core.spec import RunSpec
from tests.oracles.plain_branches import Tensor, branch, norm, rms, sigmoid

Matrix = list[list[Tensor]]


def stack_entries(entries: Matrix) -> Tensor:
    """A matrix (..., rows, columns) of its entries (...)."""
    return torch.stack([torch.stack(row, dim=-1) for row in entries], dim=-2)


def make_skew(t: Tensor, n: int) -> Tensor:
    """T - T^t of n^2 logits."""
    return stack_entries([[t[..., i * n + j] - t[..., j * n + i] for j in range(n)] for i in range(n)])


def transform(skew: Tensor) -> Tensor:
    """Cayley's (I + A)^-1 (I - A)."""
    eye = torch.eye(skew.shape[-1], dtype=skew.dtype)
    return torch.linalg.inv(eye + skew) @ (eye - skew)


def square_entries(t: Tensor, n: int, depth: int) -> Tensor:
    """Orthostochastic."""
    q = transform(make_skew(t, n))
    return q * q


def sum_block_energy(t: Tensor, n: int, depth: int) -> Tensor:
    """go-mHC: what block i of two rows takes of block j, with the transform of -A."""
    q = transform(-make_skew(t, 2 * n))
    energy = [
        [sum((q[..., 2 * i + k, 2 * j + m] ** 2 for k in (0, 1) for m in (0, 1)), 0 * t[..., 0]) / 2 for j in range(n)]
        for i in range(n)
    ]
    return stack_entries(energy)


def fill_entries(t: Tensor, n: int, depth: int) -> Tensor:
    """TBP-mHC: X row by row, each entry a share of what its row and column leave; then (1 - d) X^t + d/n."""
    one, share = torch.ones(t.shape[:-1], dtype=t.dtype), sigmoid(t)
    x: Matrix = []
    for i in range(n - 1):
        row: list[Tensor] = []
        for j in range(n - 1):
            of_row = one - sum(row, 0 * one)
            of_columns = [one - sum((above[k] for above in x), 0 * one) for k in range(n)]
            least = (of_row - sum(of_columns[j + 1 :], 0 * one)).clamp_min(0)
            most = torch.where(of_row < of_columns[j], of_row, of_columns[j])
            row.append(least + (most - least) * share[..., i * (n - 1) + j])
        x.append([*row, one - sum(row, 0 * one)])
    x.append([one - sum((above[k] for above in x), 0 * one) for k in range(n)])
    d = 1 / (1 + math.exp(8))
    return (1 - d) * stack_entries([[x[j][i] for j in range(n)] for i in range(n)]) + d / n


def add_shifts(t: Tensor, n: int, depth: int) -> Tensor:
    """C-mHC: stream i reads stream i + k with the weight of shift k."""
    g = min(1.0, 4 / (2 * depth))
    shares = torch.exp(t) / torch.exp(t).sum(-1, keepdim=True)
    return stack_entries([[g * shares[..., (j - i) % n] + (1 - g) * (i == j) for j in range(n)] for i in range(n)])


def divide_rows(t: Tensor, n: int, depth: int) -> Tensor:
    """osHC: a softmax of each row."""
    sizes = torch.exp(t.unflatten(-1, (n, n)))
    return sizes / sizes.sum(-1, keepdim=True)


def rotate(t: Tensor, n: int, depth: int) -> Tensor:
    """Orthogonal mixing."""
    return transform(make_skew(t, n))


def iterate(t: Tensor, n: int, depth: int) -> Tensor:
    """JPmHC as a polynomial of a W: 1 + t + t^2/2 + t^3/4."""
    power = 0.1 * make_skew(t, n)
    return torch.eye(n, dtype=t.dtype) + power + power @ power / 2 + power @ power @ power / 4


def multiply_quaternions(p: list[Tensor], q: list[Tensor]) -> list[Tensor]:
    """Hamilton's product."""
    (a, b, c, d), (e, f, g, h) = p, q
    return [
        a * e - b * f - c * g - d * h,
        a * f + b * e + c * h - d * g,
        a * g - b * h + c * e + d * f,
        a * h + b * g - c * f + d * e,
    ]


def conjugate(t: Tensor, n: int, depth: int) -> Tensor:
    """oHC: column j is p e_j conj(q)."""
    p, q = (
        t[..., first : first + 4] / t[..., first : first + 4].square().sum(-1, keepdim=True).sqrt() for first in (0, 4)
    )
    left, right = list(p.unbind(-1)), [q[..., 0], -q[..., 1], -q[..., 2], -q[..., 3]]
    units = [[torch.full_like(left[0], float(i == j)) for i in range(4)] for j in range(4)]
    columns = [multiply_quaternions(multiply_quaternions(left, unit), right) for unit in units]
    return stack_entries(columns).transpose(-1, -2)


def scale_differences(t: Tensor, n: int, depth: int) -> Tensor:
    """sHC: J/n + Z U diag(tanh s) V^t Z^t; column k of Z has k + 1 equal entries and one that makes its sum 0."""
    size, s = n - 1, torch.tanh(t)
    z = torch.zeros(n, size, dtype=t.dtype)
    for k in range(size):
        z[: k + 1, k], z[k + 1, k] = 1 / math.sqrt((k + 1) * (k + 2)), -math.sqrt((k + 1) / (k + 2))
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]

    def turn(angles: Tensor) -> Tensor:
        entries = [[0 * t[..., 0] for _ in range(size)] for _ in range(size)]
        for place, (i, j) in enumerate(pairs):
            entries[i][j], entries[j][i] = angles[..., place], -angles[..., place]
        return transform(stack_entries(entries))

    k = len(pairs)
    u, v = turn(s[..., :k]), turn(s[..., k : 2 * k])
    return 1 / n + z @ u @ torch.diag_embed(s[..., 2 * k :]) @ v.transpose(-1, -2) @ z.T


MAPS: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "orthostochastic": square_entries,
    "go_mhc": sum_block_energy,
    "tbp": fill_entries,
    "circulant": add_shifts,
    "one_sided": divide_rows,
    "orthogonal": rotate,
    "jpmhc": iterate,
    "quaternion": conjugate,
    "shc": scale_differences,
}


def read_gated(own: dict[str, Tensor], state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """What a Gated Residual reads (B, T, C), and the streams over their root mean square."""
    n, v = len(state), [x / rms(x) for x in state]
    low = torch.cat(v, dim=-1) @ own["w_down"].T / n
    gates = sigmoid(low * sigmoid(low) @ own["w_up"].T).chunk(n, dim=-1)
    return sum((g * x for g, x in zip(gates, v, strict=True)), torch.zeros_like(v[0])) / n, v


def climb_gated(spec: RunSpec, p: dict[str, Tensor], x: Tensor) -> Tensor:
    """The read-out of a stack of Gated Residuals."""
    state, values = [1.0 * x for _ in range(spec.streams)], list[Tensor]()
    for layer in range(spec.depth):
        prefix = f"connection.mixers.{layer}."
        own = {name.removeprefix(prefix): value for name, value in p.items() if name.startswith(prefix)}
        u, v = read_gated(own, state)
        y, shares = branch(spec, p, layer, u, values), 2 * sigmoid(torch.cat(v, dim=-1) @ own["w_post"].T / len(v))
        state = [keep(spec, old + shares[..., i, None] * y) for i, old in enumerate(state)]
    if spec.output == "head":
        return read_gated({name: p[f"connection.output.gates.{name}"] for name in ("w_down", "w_up")}, state)[0]
    return sum(state[1:], state[0]) / (1 if spec.output == "sum" else len(state))


def climb_weighted(spec: RunSpec, p: dict[str, Tensor], x: Tensor) -> Tensor:
    """The state of weighted residuals after the last layer."""
    state, source, values = x, x, list[Tensor]()
    for layer in range(spec.depth):
        a, b = p["connection.weights"][layer]
        z = a * state + b * source
        state = keep(spec, z + branch(spec, p, layer, z, values))
        source = keep(spec, source)
    return state


def climb_laurel(spec: RunSpec, p: dict[str, Tensor], x: Tensor) -> Tensor:
    """The state of LAuReL after the last layer."""
    values = list[Tensor]()
    for layer in range(spec.depth):
        sizes = torch.exp(p[f"connection.weights.{layer}"])
        a, b = 2 * sizes / sizes.sum()
        low = x @ p[f"connection.down.{layer}"] @ p[f"connection.up.{layer}"]
        x = keep(spec, a * branch(spec, p, layer, x, values) + b * (x + low))
    return x


def climb_attnres(spec: RunSpec, p: dict[str, Tensor], x: Tensor) -> Tensor:
    """What the read-out of attention over depth takes."""
    connection, outputs, read, values = spec.connection, list[Tensor](), x, list[Tensor]()
    is_delta, size = connection.depth_form != "replace", connection.depth_block
    for layer in range(spec.depth):
        outputs.append(branch(spec, p, layer, read, values))
        full = [sum(outputs[k + 1 : k + size], outputs[k]) for k in range(0, layer + 1, size)]
        sources = [x, *(full[: (layer + 1) // size] if is_delta else full)]
        state = x + sum(outputs[1:], outputs[0])
        if is_delta and layer + 1 == spec.depth:
            return keep(spec, state)
        found = weigh_sources(spec, p[f"connection.queries.{layer}"], sources)
        gate = p[f"connection.gates.{layer}"] if connection.depth_form == "delta_gated" else 1.0
        read = keep(spec, state + gate * found if is_delta else found)
    return read


def weigh_sources(spec: RunSpec, query: Tensor, sources: list[Tensor]) -> Tensor:
    """sum_i softmax_i(q . s_i / rms(s_i)) s_i in each slice of the width."""
    heads, slices = spec.connection.depth_heads, []
    normed = [s / torch.sqrt((s * s).mean(-1, keepdim=True) + 1e-6) for s in sources]
    is_normed = spec.connection.depth_values == "normed"
    for head in range(heads):
        own = slice(head * spec.width // heads, (head + 1) * spec.width // heads)
        logits = [(k[..., own] * query[own]).sum(-1) for k in normed]
        sizes = [torch.exp(t / math.sqrt(spec.width / heads) if is_normed else t) for t in logits]
        total = sum(sizes[1:], sizes[0])
        parts = normed if is_normed else sources
        terms = [(size / total)[..., None] * s[..., own] for size, s in zip(sizes, parts, strict=True)]
        slices.append(sum(terms[1:], terms[0]))
    return torch.cat(slices, dim=-1)


def climb_denseformer(spec: RunSpec, p: dict[str, Tensor], x: Tensor) -> Tensor:
    """The weighted sum of states after the last block."""
    states, read, values = [x], x, list[Tensor]()
    for layer in range(spec.depth):
        read = read + branch(spec, p, layer, read, values)
        if (layer + 1) % spec.connection.depth_block == 0 or layer + 1 == spec.depth:
            states.append(read)
            weights = p[f"connection.weights.{layer}"]
            terms = [weights[j] * state for j, state in enumerate(states)]
            read = sum(terms[1:], terms[0])
        read = keep(spec, read)
    return read


def keep(spec: RunSpec, x: Tensor) -> Tensor:
    """The state after a layer, normed where the norm follows it."""
    return norm(x, spec.block.norm) if spec.block.norm_position == "post" else x


CLIMBS: dict[str, Callable[[RunSpec, dict[str, Tensor], Tensor], Tensor]] = {
    "gated": climb_gated,
    "weighted": climb_weighted,
    "laurel": climb_laurel,
    "attnres": climb_attnres,
    "denseformer": climb_denseformer,
}
