"""Define presets of signals: norms, branches, missing skip connections, and how mixing is initialised."""

from mhc_scope.presets.preset import RESIDUAL, Preset, Reference, compare

LIMIT = "0.9484"  # token similarity after 20 layers of infinite width
# Names of the initialisations of mHC, after the code that they come from.
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

STARTS: tuple[Preset, ...] = (
    compare(
        "starts",
        "init_presets",
        "Ways to initialise mHC",
        "Our residual-equivalent start and those of mHC-lite, Megatron and DeepSeek-V4, each without drift.",
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
        "How much of a difference between streams survives",
        "After 64 layers, mHC-lite's start keeps 92 % of the differences between streams. lucidrains' keeps 30 % after "
        "one layer and next to nothing at the end; Megatron's averages all streams and keeps nothing.",
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
        "init_learning",
        "What a start lets the mixing learn",
        "With C-mHC's and lucidrains' starts all streams stay identical, so that H_res gets no gradient it could "
        "follow. With mHC-lite's they differ behind the first layer, and from the first layer on if each starts as the "
        "embedding times a vector of its own.",
        {
            "C-mHC": {"connection": {"kind": "circulant", "init": "c_mhc", "noise": 0.0}},
            **{
                INITS[name]: {"connection": {"kind": "mhc", "init": name, "noise": 0.0}}
                for name in ("lucidrains", "mhc_lite")
            },
            "scaled streams": {"connection": {"kind": "mhc", "init": "mhc_lite", "expand": "scaled", "noise": 0.0}},
        },
        metric="stream_cos",
        reduction="last",
        panel="streams",
        view="similarity",
    ),
    compare(
        "starts",
        "init_dynamic",
        "Mixing that depends on the tokens",
        "The same starts with dynamic mixing: Megatron and DeepSeek-V4 start with random projections, the others with "
        "zeros.",
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
