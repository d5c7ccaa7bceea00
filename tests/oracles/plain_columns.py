"""What is measured at each layer, from its formula, of the network in `plain_stack` (equations, section 4).

Shapes: L layers, N = B T samples, n streams or parts of the width, C width.
"""

import numpy as np
import torch

from mhc_core.spec import RunSpec
from tests.oracles.plain_branches import Tensor
from tests.oracles.plain_stack import Climb, State, climb

Columns = dict[str, np.ndarray]


def measure_plainly(spec: RunSpec, parameters: dict[str, Tensor]) -> tuple[float, Columns, Columns]:
    """The loss; columns over the layers, key -> (L) or (L, n); and those of the embedding's output, key -> () or (n).

    `parameters`: a state dict of the product's stack. cos_prev has nan in the first layer.
    """
    p = {
        name: value.detach().clone().requires_grad_() if value.is_floating_point() else value
        for name, value in parameters.items()
    }
    up = climb(spec, p)
    columns = measure_states(spec, up) | measure_branches(up) | measure_gradients(spec, up, p)
    at_input = {key: column[0] for key, column in columns.items() if len(column) > spec.depth}
    columns = {key: column[1:] if len(column) > spec.depth else column for key, column in columns.items()}
    return float(up.loss.detach()), columns | measure_mixing(spec, up), at_input


def merge(spec: RunSpec, state: State) -> Tensor:
    """m_l (B, T, C): the mean over streams, or the parts side by side."""
    return torch.cat(state, dim=-1) if spec.family.streams == "parts" else sum(state[1:], state[0]) / len(state)


def find_rms(x: Tensor) -> float:
    """Root of the mean square of all entries."""
    return float(x.detach().square().mean().sqrt())


def find_cosines(x: Tensor, y: Tensor) -> Tensor:
    """Cosine of each sample's two vectors, (N)."""
    products = (x * y).sum(-1) / (x.square().sum(-1).sqrt() * y.square().sum(-1).sqrt())
    return products.detach().flatten()


def find_token_cosine(m: Tensor) -> float:
    """Mean over s != t of cos(m[s], m[t]), s and t over the samples of all sequences."""
    rows = m.detach().flatten(0, 1)
    cosines = [float(find_cosines(rows[s], rows).sum() - find_cosines(rows[s], rows[s])) for s in range(len(rows))]
    return sum(cosines) / (len(rows) * (len(rows) - 1))


def measure_states(spec: RunSpec, up: Climb) -> Columns:
    """Of states 0 to L, the embedding's first: (L + 1) or (L + 1, n)."""
    merged = [merge(spec, state) for state in up.states]
    found = {
        "act_rms": [find_rms(m) for m in merged],
        "act_rms_streams": [[find_rms(x) for x in state] for state in up.states],
        "token_cos": [find_token_cosine(m) for m in merged],
    }
    n = spec.streams
    if n > 1:
        pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
        found["stream_cos"] = [
            sum(float(find_cosines(state[i], state[j]).mean()) for i, j in pairs) / len(pairs) for state in up.states
        ]
    return {key: np.array(column) for key, column in found.items()}


def measure_branches(up: Climb) -> Columns:
    """Of what each layer reads and adds, (L)."""
    cosines = [find_cosines(up.reads[layer], up.reads[layer - 1]).numpy() for layer in range(1, len(up.reads))]
    levels = {"cos_prev": 0.5, "cos_prev_p05": 0.05, "cos_prev_p95": 0.95}
    return {
        "branch_in_rms": np.array([find_rms(u) for u in up.reads]),
        "branch_out_rms": np.array([find_rms(y) for y in up.outputs]),
        **{key: np.array([np.nan, *(np.quantile(row, level) for row in cosines)]) for key, level in levels.items()},
    }


def measure_gradients(spec: RunSpec, up: Climb, p: dict[str, Tensor]) -> Columns:
    """Of the loss's gradients: at states 0 to L, (L + 1) or (L + 1, n), and of a layer's input and parameters, (L)."""
    depth, n = spec.depth, spec.streams
    floating = {name: value for name, value in p.items() if value.is_floating_point()}
    wanted = [*(x for state in up.states for x in state), *up.reads, *floating.values()]
    found = list(torch.autograd.grad(up.loss, wanted, allow_unused=True, retain_graph=True))
    grads = [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, found, strict=True)]
    states = [grads[layer * n : (layer + 1) * n] for layer in range(depth + 1)]
    reads = grads[(depth + 1) * n : (depth + 1) * n + depth]
    by_name = dict(zip(floating, grads[(depth + 1) * n + depth :], strict=True))
    # A shift of all streams has the sum of their gradients; a move of parts side by side theirs side by side.
    joined = [torch.cat(g, dim=-1) if spec.family.streams == "parts" else sum(g[1:], g[0]) for g in states]
    weights = [[name for name in floating if name.startswith(f"branches.{layer}.")] for layer in range(depth)]
    columns = {
        "grad_rms": np.array([find_rms(g) for g in joined]),
        "grad_rms_streams": np.array([[find_rms(g) for g in row] for row in states]),
        "branch_grad_rms": np.array([find_rms(g) for g in reads]),
        "param_grad_norm": np.array([find_norm([by_name[name] for name in names]) for names in weights]),
        "grad_to_weight": np.array(
            [find_norm([by_name[name] for name in names]) / find_norm([p[name] for name in names]) for names in weights]
        ),
    }
    if n > 1:
        mixing = [find_mixing_gradients(spec, by_name, layer) for layer in range(depth)]
        columns["mixing_grad_norm"] = np.array([find_norm(layer) for layer in mixing])
    return columns


def find_mixing_gradients(spec: RunSpec, by_name: dict[str, Tensor], layer: int) -> list[Tensor]:
    """Gradients of one layer's mixing parameters; the output's are no layer's."""
    if spec.connection.dynamic:
        return [grad for name, grad in by_name.items() if name.startswith(f"connection.mixers.{layer}.")]
    return [
        grad[layer]
        for name, grad in by_name.items()
        if name.startswith("connection.") and not name.startswith("connection.output.")
    ]


def find_norm(tensors: list[Tensor]) -> float:
    """Euclidean norm of all entries together."""
    return float(sum(tensor.detach().square().sum() for tensor in tensors)) ** 0.5


def measure_mixing(spec: RunSpec, up: Climb) -> Columns:
    """Of H_res, the mean over samples where it is dynamic, and of its products over layers: (L) or (L, n)."""
    n, depth = spec.streams, spec.depth
    res = [mixing[2].detach() for mixing in up.mixings]
    means = [(matrix.flatten(0, 1).mean(0) if matrix.ndim == 4 else matrix).numpy() for matrix in res]
    rows = [[sum(h[i, j] for j in range(n)) for i in range(n)] for h in means]
    columns = [[sum(h[i, j] for i in range(n)) for j in range(n)] for h in means]
    fwd, bwd = [], []
    for layer in range(depth):
        product = np.eye(n)
        for h in means[: layer + 1]:  # H_l ... H_1
            product = h @ product
        fwd.append(max(abs(product[i].sum()) for i in range(n)))
        product = np.eye(n)
        for h in means[layer:]:  # H_L ... H_l
            product = h @ product
        bwd.append(max(abs(product[:, j].sum()) for j in range(n)))
    return {
        "h_res_row_sum": np.array(rows),
        "h_res_col_sum": np.array(columns),
        "gain_fwd": np.array([max(abs(s) for s in row) for row in rows]),
        "gain_bwd": np.array([max(abs(s) for s in column) for column in columns]),
        "composite_gain_fwd": np.array(fwd),
        "composite_gain_bwd": np.array(bwd),
    }
