"""What a spec is made of: connection, block, input and training, each field with its bounds, unit, help and control.

What holds of one part together with others stands in `spec.py`, with the whole.
"""

from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from mhc_core.default_text import DEFAULT_TEXT

ConnectionKind = Literal[
    "none", "residual", "hc", "mhc", "mhc_lite", "kromhc", "orthostochastic", "identity_hc", "frac"
]
BlockKind = Literal["mlp", "transformer", "conv", "pair"]
InputKind = Literal["text", "gaussian", "correlated", "digits"]
InitPreset = Literal["residual", "mhc_lite", "lucidrains", "megatron", "deepseek_v4"]
BranchScaling = Literal["constant", "inv_sqrt_depth", "rezero", "skipinit", "deepnorm", "layernorm_scaling"]

CONNECTION_KINDS: tuple[str, ...] = get_args(ConnectionKind)
MANIFOLD = ("mhc", "mhc_lite", "kromhc", "orthostochastic", "identity_hc")
COPYING = ("hc", *MANIFOLD)  # every stream starts as a copy of the embedding
MULTI_STREAM = (*COPYING, "frac")
DRIFTING = tuple(kind for kind in MULTI_STREAM if kind != "identity_hc")
GRID_BLOCKS = ("conv", "pair")
POSITIVE = ">0"  # an `applies` condition, beside a tuple of values


def control(
    kind: str,
    *,
    unit: str = "",
    step: float | None = None,
    applies: dict[str, Any] | None = None,
    later: bool = False,
) -> dict:
    """Extra JSON-schema keys that the page reads: the control, its unit and step, and when the field applies.

    `later` marks a field that came after ids had been given out: at its default it leaves no trace in an id.
    """
    extra: dict[str, Any] = {"control": kind, "unit": unit}
    if later:
        extra["later"] = True
    if step is not None:
        extra["step"] = step
    if applies is not None:
        extra["applies"] = {path: rule if rule == POSITIVE else list(rule) for path, rule in applies.items()}
    return extra


class Part(BaseModel):
    """Frozen and strict: no unknown fields, no numbers that are not finite, no type for another."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class ConnectionSpec(Part):
    """How a layer's branch is joined to the stream or streams that pass it by."""

    kind: ConnectionKind = Field(
        "mhc",
        title="Connection",
        description="How layers are joined: none (plain feed-forward), residual (2015), hc (Hyper-Connections, 2024), "
        "mhc (Manifold-Constrained Hyper-Connections, 2025) by Sinkhorn, and its relatives: mhc_lite (permutations), "
        "kromhc (Kronecker products), orthostochastic (squared orthogonal), identity_hc (no residual mixing). frac "
        "splits the width into parts instead of copying it (Frac-Connections, 2025).",
        json_schema_extra=control("select"),
    )
    streams: int = Field(
        4,
        ge=1,
        le=16,
        title="Expansion rate n",
        description="Parallel residual streams; of frac, the parts of the width. The papers use 4.",
        json_schema_extra=control("slider", unit="streams", step=1, applies={"connection.kind": MULTI_STREAM}),
    )
    dynamic: bool = Field(
        False,
        title="Dynamic mixing",
        description="Mixing coefficients depend on each token through learned projections, as in the papers' models.",
        json_schema_extra=control("checkbox", applies={"connection.kind": MULTI_STREAM}),
    )
    output: Literal["auto", "mean", "sum", "head"] = Field(
        "auto",
        title="Output of the streams",
        description="How the stack's output is made of the streams: their sum (HC), their mean, or DeepSeek-V4's "
        "learned head. auto: the head under init deepseek_v4, else the mean.",
        json_schema_extra=control("select", applies={"connection.kind": COPYING}, later=True),
    )
    init: InitPreset = Field(
        "residual",
        title="Initialisation",
        description="How the mixing of mHC and its relatives starts, by public implementation. HC always starts as "
        "its paper says.",
        json_schema_extra=control("select", applies={"connection.kind": MANIFOLD}),
    )
    noise: float = Field(
        0.3,
        ge=0.0,
        le=10.0,
        title="Drift of the mixing σ",
        description="Standard deviation of Gaussian noise on the raw residual-mixing parameters, the same draw for "
        "every connection. It stands for the drift of training.",
        json_schema_extra=control("slider", step=0.05, applies={"connection.kind": DRIFTING}),
    )
    sinkhorn_iters: int = Field(
        20,
        ge=0,
        le=200,
        title="Sinkhorn rounds",
        description="Rounds of column and row normalisation. 0 leaves exp() unprojected; the paper uses 20.",
        json_schema_extra=control("slider", unit="rounds", step=1, applies={"connection.kind": ("mhc",)}),
    )
    sinkhorn_eps: float = Field(
        0.0,
        ge=0.0,
        le=1e-3,
        title="Sinkhorn eps",
        description="Added to every sum and to H_pre as DeepSeek-V4 does (1e-6 there). The paper has none.",
        json_schema_extra=control("number", applies={"connection.kind": ("mhc",)}),
    )


class BlockSpec(Part):
    """What a layer computes: the branch F."""

    kind: BlockKind = Field(
        "transformer",
        title="Block",
        description="mlp: every layer is an MLP. transformer: causal attention and MLP alternate; each is one layer. "
        "conv: two 3 x 3 convolutions on a square grid of tokens (ResNet). pair: triangle multiplication outgoing and "
        "incoming, then a transition, on a square grid of pairs (AlphaFold). The last two see tokens to come.",
        json_schema_extra=control("select"),
    )
    norm: Literal["rmsnorm", "layernorm"] = Field(
        "rmsnorm",
        title="Norm",
        description="Normalisation without learned gain, eps 1e-20.",
        json_schema_extra=control("select", applies={"block.norm_position": ("pre", "post")}),
    )
    norm_position: Literal["pre", "post", "none"] = Field(
        "pre",
        title="Norm position",
        description="pre: before the branch. post: after the addition, per stream. none: no normalisation at all.",
        json_schema_extra=control("select"),
    )
    activation: Literal["relu", "gelu", "tanh", "linear", "silu"] = Field(
        "gelu",
        title="Activation",
        description="The MLP's pointwise function.",
        json_schema_extra=control("select"),
    )
    weights: Literal["he", "xavier", "orthogonal"] = Field(
        "he",
        title="Weight init",
        description="he: variance g/fan_in, g = 2 before relu, gelu and silu, else 1. xavier: 2/(fan_in+fan_out). "
        "orthogonal: semi-orthogonal times sqrt(g).",
        json_schema_extra=control("select"),
    )
    heads: int = Field(
        4,
        ge=1,
        le=64,
        title="Heads",
        description="Attention heads; must divide the width.",
        json_schema_extra=control("number", step=1, applies={"block.kind": ("transformer",)}),
    )
    mlp_ratio: int = Field(
        4,
        ge=0,
        le=16,
        title="MLP ratio",
        description="Hidden width over width. 0: one square matrix, F(u) = activation(W u).",
        json_schema_extra=control("number", step=1, applies={"block.kind": ("mlp", "transformer", "pair")}),
    )
    scaling: BranchScaling = Field(
        "constant",
        title="Branch scaling",
        description="constant: the branch scale alone. inv_sqrt_depth: times 1/sqrt(depth). rezero: a learned scalar a "
        "layer, 0 at the start. skipinit: the same, 1/sqrt(depth) at the start. deepnorm: the skip path is enlarged "
        "and the branch's weights are drawn smaller; needs post-norm. layernorm_scaling: the output of the pre-norm "
        "times 1/sqrt(block), blocks counted from 1; needs pre-norm.",
        json_schema_extra=control("select", later=True),
    )
    branch_scale: float = Field(
        1.0,
        ge=0.0,
        le=10.0,
        title="Branch scale",
        description="Factor on every branch output.",
        json_schema_extra=control("number", step=0.05),
    )


class InputSpec(Part):
    """What enters the stack, and with it the loss."""

    kind: InputKind = Field(
        "text",
        title="Input",
        description="text: UTF-8 bytes through an embedding, next-byte cross-entropy. gaussian: N(0, 1), a fixed "
        "random linear read-out as the loss. correlated: the same, but every two tokens have a chosen correlation. "
        "digits: handwritten digits of 8 x 8 pixels, a token each, and the loss of telling which digit it is.",
        json_schema_extra=control("select"),
    )
    text: str = Field(
        DEFAULT_TEXT,
        min_length=1,
        max_length=500_000,
        title="Text",
        description="Any text. Windows of tokens + 1 bytes are spread evenly over it; a shorter text is repeated.",
        json_schema_extra=control("text", unit="characters", applies={"input.kind": ("text",)}),
    )
    correlation: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        title="Token correlation",
        description="Correlation of every two tokens; 0 is gaussian, 1 makes all tokens the same.",
        json_schema_extra=control("slider", step=0.05, applies={"input.kind": ("correlated",)}),
    )
    batch: int = Field(
        2, ge=1, le=64, title="Batch", description="Sequences.", json_schema_extra=control("number", step=1)
    )
    tokens: int = Field(
        64,
        ge=2,
        le=1024,
        title="Tokens",
        description="Tokens per sequence.",
        json_schema_extra=control("number", step=1),
    )


class TrainSpec(Part):
    """Training on the input: the stack is measured as initialised, trained, and measured again."""

    steps: int = Field(
        0,
        ge=0,
        le=5000,
        title="Steps",
        description="Optimiser steps; 0 measures the stack as initialised.",
        json_schema_extra=control("number", unit="steps", step=1),
    )
    lr: float = Field(
        0.001,
        gt=0.0,
        le=10.0,
        title="Learning rate",
        description="Step size.",
        json_schema_extra=control("number", applies={"train.steps": POSITIVE}),
    )
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw",
        title="Optimizer",
        description="The update rule: AdamW with betas 0.9 and 0.95, or SGD with momentum 0.9.",
        json_schema_extra=control("select", applies={"train.steps": POSITIVE}),
    )
    weight_decay: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        title="Weight decay",
        description="Decoupled under AdamW, added to the gradient under SGD; not on biases, gates and scalars.",
        json_schema_extra=control("number", applies={"train.steps": POSITIVE}),
    )
    warmup: int = Field(
        0,
        ge=0,
        le=5000,
        title="Warm-up",
        description="Steps over which the learning rate rises linearly to its value.",
        json_schema_extra=control("number", unit="steps", step=1, applies={"train.steps": POSITIVE}),
    )
    clip: float = Field(
        0.0,
        ge=0.0,
        le=1000.0,
        title="Gradient clipping",
        description="Largest norm of the whole gradient; 0 does not clip.",
        json_schema_extra=control("number", applies={"train.steps": POSITIVE}),
    )
    kept: int = Field(
        5,
        ge=2,
        le=50,
        title="Matrices kept",
        description="Steps at which the mixing matrices are kept, evenly spaced from the first to the last.",
        json_schema_extra=control("number", unit="steps", step=1, applies={"train.steps": POSITIVE}),
    )
