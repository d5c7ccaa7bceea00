"""Thirty small specs that together meet every connection, block, input, precision and corner case.

Each is computed within seconds on one core. A name says what its spec is for; every id stays as it is for good.
"""

from typing import Any

Spec = dict[str, Any]

MLP = {"kind": "mlp", "mlp_ratio": 2}
ATTENTION = {"kind": "transformer", "heads": 2, "mlp_ratio": 2}
SHORT = {"batch": 2, "tokens": 8}
GRID = {"kind": "gaussian", "batch": 2, "tokens": 16}  # 4 x 4


def _build(kind: str, depth: int = 8, block: Spec = ATTENTION, of_input: Spec = SHORT, **fields: Any) -> Spec:
    """A small spec; `of_connection` and `train` are parts of their own, the rest are fields of the whole."""
    connection = {"kind": kind, **fields.pop("of_connection", {})}
    return {"depth": depth, "width": 16, "connection": connection, "block": block, "input": of_input, **fields}


CONNECTIONS: dict[str, Spec] = {
    "plain": _build("none", 12, {**MLP, "norm_position": "none", "activation": "tanh", "weights": "xavier"}),
    "residual": _build("residual"),
    "hc": _build("hc"),
    "mhc": _build("mhc", of_connection={"sinkhorn_eps": 1e-6, "noise": 1.0}),
    "mhc_lite": _build("mhc_lite", of_connection={"streams": 3}),
    "kromhc": _build("kromhc"),
    "orthostochastic": _build("orthostochastic", of_connection={"init": "lucidrains"}),
    "identity_hc": _build("identity_hc", of_connection={"output": "sum"}),
    "frac": _build("frac"),
    "hc_dynamic": _build("hc", of_connection={"dynamic": True}),
    "mhc_dynamic": _build("mhc", of_connection={"dynamic": True, "init": "megatron"}),
    "mhc_lite_dynamic": _build("mhc_lite", 5, of_connection={"dynamic": True, "init": "mhc_lite"}),
    "kromhc_dynamic": _build("kromhc", 5, of_connection={"dynamic": True, "init": "lucidrains", "streams": 2}),
    "orthostochastic_dynamic": _build("orthostochastic", 5, of_connection={"dynamic": True, "init": "deepseek_v4"}),
    "identity_hc_dynamic": _build("identity_hc", 5, of_connection={"dynamic": True, "output": "head"}),
    "frac_dynamic": _build("frac", 5, {**MLP, "scaling": "rezero"}, of_connection={"dynamic": True, "streams": 2}),
}

STACKS: dict[str, Spec] = {
    "conv": _build("residual", 6, {"kind": "conv", "norm": "layernorm", "activation": "relu"}, GRID, seed=3),
    "pair": _build("mhc", 6, {"kind": "pair"}, {**GRID, "kind": "correlated", "correlation": 0.5}),
    "digits": _build("hc", 4, {**MLP, "activation": "silu", "scaling": "skipinit"}, {"kind": "digits", "tokens": 64}),
    "constant": _build("residual", 6, {**MLP, "mlp_ratio": 0}, {**SHORT, "kind": "correlated", "correlation": 1.0}),
    "deepnorm": _build("residual", 8, {**ATTENTION, "scaling": "deepnorm", "norm_position": "post"}),
    "one_layer": _build("mhc", 1),
    "one_stream": _build("mhc", 6, {**MLP, "weights": "orthogonal"}, of_connection={"streams": 1}),
}

MEASUREMENTS: dict[str, Spec] = {
    "trained": _build("hc", 6, train={"steps": 6, "lr": 0.01, "kept": 3}),
    "trained_dynamic": _build(
        "mhc",
        4,
        {**ATTENTION, "scaling": "layernorm_scaling"},
        {"kind": "digits", "batch": 2, "tokens": 64},
        of_connection={"dynamic": True},
        train={"steps": 4, "optimizer": "sgd", "weight_decay": 0.1, "warmup": 2, "clip": 1.0, "kept": 2},
    ),
    "seeds": _build("hc", 6, seeds=4, cka="biased"),
    "jacobian": _build("mhc", 6, {**MLP, "activation": "linear", "scaling": "inv_sqrt_depth"}, jacobian=4),
    "bfloat16": _build("mhc", 8, width=32, dtype="bfloat16"),
    "float64": _build("hc", 8, width=32, dtype="float64", of_connection={"noise": 1.0}),
    "overflow": _build("hc", 512, MLP, {"batch": 1, "tokens": 4}, of_connection={"noise": 3.0}),
}

SPECS: dict[str, Spec] = CONNECTIONS | STACKS | MEASUREMENTS

# Runs that one figure shows together: letters A to D.
COMPARISONS: dict[str, tuple[str, ...]] = {
    "four": ("plain", "residual", "hc", "mhc"),
    "dynamic": ("hc_dynamic", "mhc_dynamic", "frac_dynamic"),
    "unlike": ("float64", "one_layer", "seeds"),
    "trained": ("trained", "trained_dynamic", "hc"),
}
