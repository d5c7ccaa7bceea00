"""Define presets on how norms, branch scales and missing skip connections affect signals."""

from mhc_scope.presets.preset import RESIDUAL, Preset, Reference, compare

LIMIT = "0.9484"  # similarity of tokens after 20 layers of infinite width

SIGNALS: tuple[Preset, ...] = (
    compare(
        "signals",
        "laws",
        "Where theory predicts it",
        "Wide MLP layers on Gaussian input meet the premises of the theory: each measured curve next to its predicted "
        "band.",
        {
            label: {
                "connection": {"kind": kind},
                "width": 128,
                "block": {"kind": "mlp", "activation": "relu", "mlp_ratio": 2},
                "input": {"kind": "gaussian"},
            }
            for label, kind in {"Plain": "none", "Residual": "residual", "HC": "hc", "mHC": "mhc"}.items()
        },
        metric="act_rms",
        reduction="last",
        panel="theory",
        view="activation",
    ),
    compare(
        "signals",
        "no_skip",
        "Without skip connections",
        "The same stack of MLPs without and with residual connections.",
        {
            "Plain": {"connection": {"kind": "none"}, "block": {"kind": "mlp"}},
            "Residual": RESIDUAL | {"block": {"kind": "mlp"}},
        },
        metric="effective_rank",
        reduction="last",
        panel="cka",
    ),
    compare(
        "signals",
        "relu_correlation",
        "ReLU layers align their tokens",
        "Tokens that start unrelated are nearly parallel after 20 layers of a plain ReLU network.",
        {
            f"width {width}": {
                "depth": 20,
                "width": width,
                "connection": {"kind": "none"},
                "block": {"kind": "mlp", "mlp_ratio": 0, "activation": "relu", "norm_position": "none"},
                "input": {"kind": "gaussian"},
            }
            for width in (64, 256)
        },
        metric="token_cos",
        reduction="last",
        panel="similarity",
        view="tokens",
        reference=Reference(
            "Correlation map of ReLU networks, Cho & Saul 2009",
            f"{LIMIT} after 20 layers, for tokens that start unrelated.",
            "The limit of infinite width; here two finite networks and one seed.",
            {"width 64": LIMIT, "width 256": LIMIT},
        ),
    ),
    compare(
        "signals",
        "norm_position",
        "Pre-norm, post-norm, none",
        "A plain residual stack with its norm before the branch, after the addition, and without a norm.",
        {
            label: RESIDUAL | {"block": {"norm_position": key}}
            for label, key in {"pre-norm": "pre", "post-norm": "post", "no norm": "none"}.items()
        },
        metric="grad_rms",
        reduction="first",
        panel="gradient",
    ),
    compare(
        "signals",
        "deepnorm",
        "Pre-norm, post-norm, DeepNorm",
        "DeepNorm scales up the skip path of a post-norm stack and initialises its branches smaller.",
        {
            "pre-norm": RESIDUAL,
            "post-norm": RESIDUAL | {"block": {"norm_position": "post"}},
            "DeepNorm": RESIDUAL | {"block": {"norm_position": "post", "scaling": "deepnorm"}},
        },
        metric="grad_rms",
        reduction="first",
        panel="gradient",
    ),
    compare(
        "signals",
        "branch_scaling",
        "Scaled branches",
        "A residual stack with unscaled branches, with 1/√depth, with ReZero's learned scale and with LayerNorm "
        "Scaling.",
        {
            label: RESIDUAL | {"block": {"scaling": scaling}}
            for label, scaling in {
                "constant": "constant",
                "1/√depth": "inv_sqrt_depth",
                "ReZero": "rezero",
                "LayerNorm Scaling": "layernorm_scaling",
            }.items()
        },
        metric="act_rms",
        reduction="last",
        panel="activation",
    ),
)
