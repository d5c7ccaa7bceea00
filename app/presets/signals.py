"""What norms, branches and missing skip connections do to signals, and the ways in which mixing starts."""

from app.presets.preset import RESIDUAL, Preset, Reference, compare

LIMIT = "0.9484"  # token similarity after 20 layers of infinite width
# What starts of mHC are called where they come from.
INITS = {
    "residual": "residual-equivalent",
    "mhc_lite": "mHC-lite",
    "lucidrains": "lucidrains",
    "megatron": "Megatron",
    "deepseek_v4": "DeepSeek-V4",
}

SIGNALS: tuple[Preset, ...] = (
    compare(
        "signals",
        "laws",
        "Where theory speaks",
        "Wide MLP layers on Gaussian input, which meet the premises of laws: each measured curve beside its band.",
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
        "A plain feed-forward stack of MLPs beside the same stack with residual connections.",
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
        "Tokens that start unrelated point nearly the same way after 20 layers of a plain ReLU network.",
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
            f"{LIMIT} after 20 layers, from tokens that are unrelated.",
            "The limit of infinite width; here two narrow networks and one seed.",
            {"width 64": LIMIT, "width 256": LIMIT},
        ),
    ),
    compare(
        "signals",
        "norm_position",
        "Pre-norm, post-norm, none",
        "A plain residual stack with its norm before the branch, after the addition, and without one.",
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
        "DeepNorm enlarges the skip path of a post-norm stack and draws its branches smaller.",
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
        "A residual stack with plain branches, with 1/√depth on each, with ReZero's gain and with LayerNorm Scaling.",
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

STARTS: tuple[Preset, ...] = (
    compare(
        "starts",
        "init_presets",
        "Ways to initialise mHC",
        "Our residual-equivalent start, mHC-lite's, Megatron's and DeepSeek-V4's, each without drift.",
        {
            INITS[name]: {"connection": {"kind": "mhc", "init": name, "noise": 0.0}}
            for name in ("residual", "mhc_lite", "megatron", "deepseek_v4")
        },
        metric="act_rms",
        reduction="last",
        panel="activation",
    ),
    compare(
        "starts",
        "init_identity",
        "Near the identity, or not",
        "How much of the differences between streams survives 64 layers: 92 % with mHC-lite's start, next to nothing "
        "with lucidrains', which leaves 30 % after one layer, and nothing with Megatron's average of all streams.",
        {
            INITS[name]: {"connection": {"kind": "mhc", "init": name, "noise": 0.0}}
            for name in ("mhc_lite", "lucidrains", "megatron")
        },
        metric="composite_sigma2",
        reduction="last",
        panel="detail",
        view="interval",
    ),
    compare(
        "starts",
        "init_dynamic",
        "Mixing that reads the tokens",
        "The same starts with dynamic mixing: Megatron and DeepSeek-V4 draw random projections, the others none.",
        {
            INITS[name]: {"connection": {"kind": "mhc", "init": name, "noise": 0.0, "dynamic": True}}
            for name in ("mhc_lite", "lucidrains", "megatron", "deepseek_v4")
        },
        metric="stream_cos",
        reduction="last",
        panel="streams",
        view="similarity",
    ),
)
