"""What to run: the one definition behind validation, OpenAPI, the page's controls and the command line.

A `RunSpec` is frozen and strict. Every field carries its bounds, unit, help and the control that shows it;
`applies` names the settings under which the field means anything. Fields that do not apply are accepted (one base
spec can be compared over several connections) but leave no trace: `canonical()` drops them, and the id is a
hash of the canonical form.
"""

import hashlib
import json
import math
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mhc_core.default_text import DEFAULT_TEXT
from mhc_core.errors import SpecError, to_spec_errors

# Part of every id. Raise it when a change moves a published number, so that old links are computed anew.
NUMERICS_VERSION = 2

# Close to the median HC gain of 200 seeds at the default noise; a test measures it.
DEFAULT_SEED = 0

ConnectionKind = Literal[
    "none", "residual", "hc", "mhc", "mhc_lite", "kromhc", "orthostochastic", "identity_hc", "frac"
]
BlockKind = Literal["mlp", "transformer", "conv", "pair"]
InputKind = Literal["text", "gaussian", "correlated", "digits"]
InitPreset = Literal["residual", "mhc_lite", "lucidrains", "megatron", "deepseek_v4"]
BranchScaling = Literal["constant", "inv_sqrt_depth", "rezero", "skipinit", "deepnorm", "layernorm_scaling"]

MANIFOLD = ("mhc", "mhc_lite", "kromhc", "orthostochastic", "identity_hc")
COPYING = ("hc", *MANIFOLD)  # every stream starts as a copy of the embedding
MULTI_STREAM = (*COPYING, "frac")
DRIFTING = tuple(kind for kind in MULTI_STREAM if kind != "identity_hc")
GRID_BLOCKS = ("conv", "pair")
UNBOUNDED = "its loss is linear in the output, so training would lower it without end"
POSITIVE = ">0"  # an `applies` condition, beside a tuple of values


def _ui(
    control: str,
    *,
    unit: str = "",
    step: float | None = None,
    applies: dict[str, Any] | None = None,
    later: bool = False,
) -> dict:
    """Extra JSON-schema keys that the page reads: the control, its unit and step, and when the field applies.

    `later` marks a field that came after ids had been given out: at its default it leaves no trace in an id.
    """
    extra: dict[str, Any] = {"control": control, "unit": unit}
    if later:
        extra["later"] = True
    if step is not None:
        extra["step"] = step
    if applies is not None:
        extra["applies"] = {path: rule if rule == POSITIVE else list(rule) for path, rule in applies.items()}
    return extra


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class ConnectionSpec(_Part):
    """How a layer's branch is joined to the stream or streams that pass it by."""

    kind: ConnectionKind = Field(
        "mhc",
        title="Connection",
        description="How layers are joined: none (plain feed-forward), residual (2015), hc (Hyper-Connections, 2024), "
        "mhc (Manifold-Constrained Hyper-Connections, 2025) by Sinkhorn, and its relatives: mhc_lite (permutations), "
        "kromhc (Kronecker products), orthostochastic (squared orthogonal), identity_hc (no residual mixing). frac "
        "splits the width into parts instead of copying it (Frac-Connections, 2025).",
        json_schema_extra=_ui("select"),
    )
    streams: int = Field(
        4,
        ge=1,
        le=16,
        title="Expansion rate n",
        description="Parallel residual streams; of frac, the parts of the width. The papers use 4.",
        json_schema_extra=_ui("slider", unit="streams", step=1, applies={"connection.kind": MULTI_STREAM}),
    )
    dynamic: bool = Field(
        False,
        title="Dynamic mixing",
        description="Mixing coefficients depend on each token through learned projections, as in the papers' models.",
        json_schema_extra=_ui("checkbox", applies={"connection.kind": MULTI_STREAM}),
    )
    output: Literal["auto", "mean", "sum", "head"] = Field(
        "auto",
        title="Output of the streams",
        description="How the stack's output is made of the streams: their sum (HC), their mean, or DeepSeek-V4's "
        "learned head. auto: the head under init deepseek_v4, else the mean.",
        json_schema_extra=_ui("select", applies={"connection.kind": COPYING}, later=True),
    )
    init: InitPreset = Field(
        "residual",
        title="Initialisation",
        description="How the mixing of mHC and its relatives starts, by public implementation. HC always starts as "
        "its paper says.",
        json_schema_extra=_ui("select", applies={"connection.kind": MANIFOLD}),
    )
    noise: float = Field(
        0.3,
        ge=0.0,
        le=10.0,
        title="Drift of the mixing σ",
        description="Standard deviation of Gaussian noise on the raw residual-mixing parameters, the same draw for "
        "every connection. It stands for the drift of training.",
        json_schema_extra=_ui("slider", step=0.05, applies={"connection.kind": DRIFTING}),
    )
    sinkhorn_iters: int = Field(
        20,
        ge=0,
        le=200,
        title="Sinkhorn rounds",
        description="Rounds of column and row normalisation. 0 leaves exp() unprojected; the paper uses 20.",
        json_schema_extra=_ui("slider", unit="rounds", step=1, applies={"connection.kind": ("mhc",)}),
    )
    sinkhorn_eps: float = Field(
        0.0,
        ge=0.0,
        le=1e-3,
        title="Sinkhorn eps",
        description="Added to every sum and to H_pre as DeepSeek-V4 does (1e-6 there). The paper has none.",
        json_schema_extra=_ui("number", applies={"connection.kind": ("mhc",)}),
    )


class BlockSpec(_Part):
    """What a layer computes: the branch F."""

    kind: BlockKind = Field(
        "transformer",
        title="Block",
        description="mlp: every layer is an MLP. transformer: causal attention and MLP alternate; each is one layer. "
        "conv: two 3 x 3 convolutions on a square grid of tokens (ResNet). pair: triangle multiplication outgoing and "
        "incoming, then a transition, on a square grid of pairs (AlphaFold). The last two see tokens to come.",
        json_schema_extra=_ui("select"),
    )
    norm: Literal["rmsnorm", "layernorm"] = Field(
        "rmsnorm",
        title="Norm",
        description="Normalisation without learned gain, eps 1e-20.",
        json_schema_extra=_ui("select", applies={"block.norm_position": ("pre", "post")}),
    )
    norm_position: Literal["pre", "post", "none"] = Field(
        "pre",
        title="Norm position",
        description="pre: before the branch. post: after the addition, per stream. none: no normalisation at all.",
        json_schema_extra=_ui("select"),
    )
    activation: Literal["relu", "gelu", "tanh", "linear", "silu"] = Field(
        "gelu",
        title="Activation",
        description="The MLP's pointwise function.",
        json_schema_extra=_ui("select"),
    )
    weights: Literal["he", "xavier", "orthogonal"] = Field(
        "he",
        title="Weight init",
        description="he: variance g/fan_in, g = 2 before relu, gelu and silu, else 1. xavier: 2/(fan_in+fan_out). "
        "orthogonal: semi-orthogonal times sqrt(g).",
        json_schema_extra=_ui("select"),
    )
    heads: int = Field(
        4,
        ge=1,
        le=64,
        title="Heads",
        description="Attention heads; must divide the width.",
        json_schema_extra=_ui("number", step=1, applies={"block.kind": ("transformer",)}),
    )
    mlp_ratio: int = Field(
        4,
        ge=0,
        le=16,
        title="MLP ratio",
        description="Hidden width over width. 0: one square matrix, F(u) = activation(W u).",
        json_schema_extra=_ui("number", step=1, applies={"block.kind": ("mlp", "transformer", "pair")}),
    )
    scaling: BranchScaling = Field(
        "constant",
        title="Branch scaling",
        description="constant: the branch scale alone. inv_sqrt_depth: times 1/sqrt(depth). rezero: a learned scalar a "
        "layer, 0 at the start. skipinit: the same, 1/sqrt(depth) at the start. deepnorm: the skip path is enlarged "
        "and the branch's weights are drawn smaller; needs post-norm. layernorm_scaling: the output of the pre-norm "
        "times 1/sqrt(block), blocks counted from 1; needs pre-norm.",
        json_schema_extra=_ui("select", later=True),
    )
    branch_scale: float = Field(
        1.0,
        ge=0.0,
        le=10.0,
        title="Branch scale",
        description="Factor on every branch output.",
        json_schema_extra=_ui("number", step=0.05),
    )


class InputSpec(_Part):
    """What enters the stack, and with it the loss."""

    kind: InputKind = Field(
        "text",
        title="Input",
        description="text: UTF-8 bytes through an embedding, next-byte cross-entropy. gaussian: N(0, 1), a fixed "
        "random linear read-out as the loss. correlated: the same, but every two tokens have a chosen correlation. "
        "digits: handwritten digits of 8 x 8 pixels, a token each, and the loss of telling which digit it is.",
        json_schema_extra=_ui("select"),
    )
    text: str = Field(
        DEFAULT_TEXT,
        min_length=1,
        max_length=500_000,
        title="Text",
        description="Any text. Windows of tokens + 1 bytes are spread evenly over it; a shorter text is repeated.",
        json_schema_extra=_ui("text", unit="characters", applies={"input.kind": ("text",)}),
    )
    correlation: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        title="Token correlation",
        description="Correlation of every two tokens; 0 is gaussian, 1 makes all tokens the same.",
        json_schema_extra=_ui("slider", step=0.05, applies={"input.kind": ("correlated",)}),
    )
    batch: int = Field(2, ge=1, le=64, title="Batch", description="Sequences.", json_schema_extra=_ui("number", step=1))
    tokens: int = Field(
        64,
        ge=2,
        le=1024,
        title="Tokens",
        description="Tokens per sequence.",
        json_schema_extra=_ui("number", step=1),
    )


class TrainSpec(_Part):
    """Training on the input: the stack is measured as initialised, trained, and measured again."""

    steps: int = Field(
        0,
        ge=0,
        le=5000,
        title="Steps",
        description="Optimiser steps; 0 measures the stack as initialised.",
        json_schema_extra=_ui("number", unit="steps", step=1),
    )
    lr: float = Field(
        0.001,
        gt=0.0,
        le=10.0,
        title="Learning rate",
        description="Step size.",
        json_schema_extra=_ui("number", applies={"train.steps": POSITIVE}),
    )
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw",
        title="Optimizer",
        description="The update rule: AdamW with betas 0.9 and 0.95, or SGD with momentum 0.9.",
        json_schema_extra=_ui("select", applies={"train.steps": POSITIVE}),
    )
    weight_decay: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        title="Weight decay",
        description="Decoupled under AdamW, added to the gradient under SGD; not on biases, gates and scalars.",
        json_schema_extra=_ui("number", applies={"train.steps": POSITIVE}),
    )
    warmup: int = Field(
        0,
        ge=0,
        le=5000,
        title="Warm-up",
        description="Steps over which the learning rate rises linearly to its value.",
        json_schema_extra=_ui("number", unit="steps", step=1, applies={"train.steps": POSITIVE}),
    )
    clip: float = Field(
        0.0,
        ge=0.0,
        le=1000.0,
        title="Gradient clipping",
        description="Largest norm of the whole gradient; 0 does not clip.",
        json_schema_extra=_ui("number", applies={"train.steps": POSITIVE}),
    )
    kept: int = Field(
        5,
        ge=2,
        le=50,
        title="Matrices kept",
        description="Steps at which the mixing matrices are kept, evenly spaced from the first to the last.",
        json_schema_extra=_ui("number", unit="steps", step=1, applies={"train.steps": POSITIVE}),
    )


class RunSpec(_Part):
    """One run: a stack, its input and its seed. `{}` is valid and is mHC in the default comparison."""

    depth: int = Field(
        64,
        ge=1,
        le=1024,
        title="Depth",
        description="Layers. A layer is one residual branch: a transformer block is two.",
        json_schema_extra=_ui("slider", unit="layers", step=1),
    )
    width: int = Field(
        64,
        ge=4,
        le=4096,
        title="Width",
        description="Features per token and stream, C.",
        json_schema_extra=_ui("slider", unit="features", step=4),
    )
    seed: int = Field(
        DEFAULT_SEED,
        ge=0,
        le=2**32 - 1,
        title="Seed",
        description="Seeds every weight, input and noise draw by name and layer.",
        json_schema_extra=_ui("number", step=1),
    )
    seeds: int = Field(
        1,
        ge=1,
        le=32,
        title="Seeds",
        description="How many seeds, counted up from the seed: curves get the median and the band of all of them.",
        json_schema_extra=_ui("number", unit="seeds", step=1, later=True),
    )
    jacobian: int = Field(
        0,
        ge=0,
        le=64,
        title="Jacobian products",
        description="Pairs of products of the input-output Jacobian with vectors, from which its extreme singular "
        "values are taken; 0 leaves them out.",
        json_schema_extra=_ui("number", unit="products", step=1, later=True),
    )
    dtype: Literal["float32", "float64", "bfloat16"] = Field(
        "float32",
        title="Precision",
        description="Type of streams and weights.",
        json_schema_extra=_ui("select"),
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        title="Device",
        description="auto: CUDA where present, else CPU.",
        json_schema_extra=_ui("select"),
    )
    cka: Literal["unbiased", "biased"] = Field(
        "unbiased",
        title="CKA estimator",
        description="unbiased: near 0 for unrelated layers at any number of samples. biased: the usual one of papers; "
        "where samples are fewer than features it calls unrelated layers alike, so the number is shown beside it.",
        json_schema_extra=_ui("select", later=True),
    )
    connection: ConnectionSpec = Field(ConnectionSpec(), title="Connection")
    block: BlockSpec = Field(BlockSpec(), title="Block")
    input: InputSpec = Field(InputSpec(), title="Input")
    train: TrainSpec = Field(TrainSpec(), title="Training")

    @model_validator(mode="after")
    def _check_across_fields(self) -> "RunSpec":
        if self.block.kind == "transformer" and self.width % self.block.heads:
            raise SpecError("block.heads", self.block.heads, f"a divisor of width {self.width}")
        if self.input.batch * self.input.tokens < 4:
            raise SpecError("input.tokens", self.input.tokens, "batch * tokens of at least 4, which unbiased CKA needs")
        if self.block.kind in GRID_BLOCKS and math.isqrt(self.input.tokens) ** 2 != self.input.tokens:
            raise SpecError(
                "input.tokens", self.input.tokens, f"a square number, the grid of a {self.block.kind} block"
            )
        self._check_streams()
        self._check_scaling()
        self._check_digits()
        if self.train.steps and self.input.kind in ("gaussian", "correlated"):
            raise SpecError("train.steps", self.train.steps, f"0 where input.kind is {self.input.kind}: {UNBOUNDED}")
        if self.seeds > 1 and self.train.steps:
            raise SpecError("seeds", self.seeds, "1 where train.steps is above 0: bands are of stacks as initialised")
        return self

    def _check_streams(self) -> None:
        kind, n = self.connection.kind, self.connection.streams
        if kind == "kromhc" and n & (n - 1):
            raise SpecError("connection.streams", n, "a power of two, of which kromhc takes Kronecker products")
        if kind == "mhc_lite" and n > 5:
            raise SpecError("connection.streams", n, "at most 5: mhc_lite combines all n! permutations")
        if kind == "frac" and self.width % n:
            raise SpecError("connection.streams", n, f"a divisor of width {self.width}, which frac splits")

    def _check_scaling(self) -> None:
        needed = {"deepnorm": "post", "layernorm_scaling": "pre"}.get(self.block.scaling)
        if needed and self.block.norm_position != needed:
            raise SpecError("block.scaling", self.block.scaling, f"block.norm_position {needed}, for which it is made")

    def _check_digits(self) -> None:
        if self.input.kind == "digits" and self.input.tokens != 64:
            raise SpecError("input.tokens", self.input.tokens, "64 where input.kind is digits, the pixels of an image")

    def canonical(self) -> dict[str, Any]:
        """The spec as plain data without the fields that do not apply: what is hashed, stored and shown."""
        full = self.model_dump(mode="json")
        return _keep_applying(type(self), full, full)

    @property
    def streams(self) -> int:
        """Streams that the run really has: the expansion rate, or 1 where the connection knows no streams."""
        return self.connection.streams if self.connection.kind in MULTI_STREAM else 1

    @property
    def output(self) -> str:
        """How copied streams leave the stack, with `auto` resolved: "mean", "sum" or "head"."""
        if self.connection.output != "auto":
            return self.connection.output
        return "head" if self.connection.kind in MANIFOLD and self.connection.init == "deepseek_v4" else "mean"

    @property
    def id(self) -> str:
        """20 hex digits of SHA-256 over the canonical form and the numerics version."""
        full = self.model_dump(mode="json")
        kept = _keep_applying(type(self), full, full, for_id=True)
        body = json.dumps([NUMERICS_VERSION, kept], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(body.encode()).hexdigest()[:20]


def parse_spec(body: bytes | str | dict[str, Any]) -> RunSpec:
    """Read a spec from JSON or from plain data.

    Raises
    ------
    SpecErrors
        With one item per mistake. Broken JSON and broken UTF-8 are a mistake of the field `body`.
    """
    try:
        if isinstance(body, dict):
            return RunSpec.model_validate(body)
        return RunSpec.model_validate_json(body)
    except ValidationError as error:
        raise to_spec_errors(error, RunSpec.model_json_schema()) from None


def _keep_applying(
    part: type[BaseModel], values: dict[str, Any], full: dict[str, Any], *, for_id: bool = False
) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, field in part.model_fields.items():
        extra: dict[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        applies: Any = extra.get("applies", {})
        if for_id and extra.get("later") and values[name] == field.default:
            continue
        if not all(_meets(_look_up(full, path), rule) for path, rule in applies.items()):
            continue
        inner = field.annotation
        nested = isinstance(inner, type) and issubclass(inner, BaseModel)
        kept[name] = _keep_applying(inner, values[name], full, for_id=for_id) if nested else values[name]  # type: ignore
    return kept


def _meets(value: Any, rule: Any) -> bool:
    return bool(value > 0) if rule == POSITIVE else value in rule


def _look_up(values: dict[str, Any], path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values


CONNECTION_KINDS: tuple[str, ...] = get_args(ConnectionKind)
