"""The connection of a spec: how layers are joined."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mhc_core.families import FAMILIES
from mhc_core.family import Family
from mhc_core.spec.part import SpecPart, control


def _list_kinds(applies: Callable[[Family], bool]) -> tuple[str, ...]:
    return tuple(kind for kind, family in FAMILIES.items() if applies(family))


def _describe_family(family: Family) -> str:
    return family.summary if family.year is None else f"{family.summary}, {family.year}"


CONNECTION_KINDS = tuple(FAMILIES)
WITH_STREAMS = _list_kinds(lambda family: family.fixed_streams is None)
BY_TOKEN = _list_kinds(lambda family: family.by_token and not family.always_by_token)
COPYING = _list_kinds(lambda family: family.streams == "copies")
MAPPED = _list_kinds(lambda family: family.is_mapped)
COPYING_ONLY = _list_kinds(lambda family: family.streams == "copies" and not family.is_mapped)
DRIFTING = _list_kinds(lambda family: family.drawn != "nothing")
READING = _list_kinds(lambda family: not family.has_mixing)
ATTENDING = _list_kinds(lambda family: family.attends)
ITERATING = _list_kinds(lambda family: family.iterates)
SOLVABLE = _list_kinds(lambda family: family.solved is not None)
ROUNDS = [{"connection.kind": ITERATING, "connection.projection": ["sinkhorn"]}]
RANKED = _list_kinds(lambda family: family.has_rank)

if TYPE_CHECKING:
    ConnectionKind = str  # a type checker cannot read the keys of a table
else:
    ConnectionKind = Literal[CONNECTION_KINDS]
InitPreset = Literal["residual", "mhc_lite", "lucidrains", "megatron", "deepseek_v4", "c_mhc", "hy_v4"]
MAX_STREAMS = 16


class ConnectionSpec(SpecPart):
    """How a layer's branch is joined to the stream or streams that pass it by."""

    kind: ConnectionKind = Field(
        "mhc",
        title="Connection",
        description="\n".join(
            ["How layers are joined.", *(f"{kind}: {_describe_family(family)}." for kind, family in FAMILIES.items())]
        ),
        json_schema_extra=control("select"),
    )
    streams: int = Field(
        4,
        ge=1,
        le=MAX_STREAMS,
        title="Streams",
        description="Parallel residual streams; of frac, the parts of the width. The papers' large models have 4.",
        json_schema_extra=control("slider", unit="streams", step=1, applies={"connection.kind": WITH_STREAMS}),
    )
    dynamic: bool = Field(
        False,
        title="Dynamic mixing",
        description="Mixing coefficients depend on each token through learned projections, as in mHC and dynamic HC.",
        json_schema_extra=control("checkbox", applies={"connection.kind": BY_TOKEN}),
    )
    expand: Literal["copies", "scaled"] = Field(
        "copies",
        title="Streams at the start",
        description="What the streams are before the first layer. copies: each is the embedding. scaled: each is the "
        "embedding times a learned vector of its own, which starts near 0.6, so that streams differ from the start.",
        json_schema_extra=control("select", applies={"connection.kind": COPYING}, later=True),
    )
    output: Literal["auto", "mean", "sum", "head"] = Field(
        "auto",
        title="Readout",
        description="How the stack's output is made of the streams: their sum (HC), their mean, or DeepSeek-V4's "
        "learned head. auto: the head under init deepseek_v4 and of gated, which has a head of its own, else the mean.",
        json_schema_extra=control(
            "select",
            applies=[
                {"connection.kind": COPYING_ONLY},
                {"connection.kind": MAPPED, "connection.read_from": ["own"]},
            ],
            later=True,
        ),
    )
    init: InitPreset = Field(
        "residual",
        title="Initialisation",
        description="How the mixing of mHC and its relatives starts, by public implementation. HC always starts as "
        "its paper says.",
        json_schema_extra=control("select", applies={"connection.kind": MAPPED}),
    )
    noise: float = Field(
        0.3,
        ge=0.0,
        le=10.0,
        title="Drift σ",
        description="Standard deviation of Gaussian noise on the raw residual-mixing parameters, the same draw for "
        "every connection. It stands in for the drift of training. A random drift of 0.35 gives 60 layers of HC the "
        "gain of "
        "3000 that the mHC paper reports. Training on the corpus moved HC's matrices by 0.1 at a learning rate of "
        "0.003 "
        "and by 0.4 at 0.01, and gave a larger gain than a random drift of that size.",
        json_schema_extra=control("slider", step=0.05, applies={"connection.kind": DRIFTING}),
    )
    read_from: Literal["own", "previous"] = Field(
        "own",
        title="H_pre of",
        description="Which layer makes the H_pre that a layer reads with. own: itself. previous: the layer before it, "
        "from the state that enters that one, as in DeepSeek-V4.1; the first layer reads stream 0, and the output is "
        "read with the H_pre of the last layer.",
        json_schema_extra=control("select", applies={"connection.kind": MAPPED}, later=True),
    )
    projection: Literal["sinkhorn", "newton"] = Field(
        "sinkhorn",
        title="Projection",
        description="How logits become a doubly stochastic matrix. sinkhorn: rounds of normalisation. newton: the "
        "limit of many rounds, by Newton's method in float64, with its gradient by the implicit function theorem.",
        json_schema_extra=control("select", applies={"connection.kind": SOLVABLE}, later=True),
    )
    sinkhorn_iters: int = Field(
        20,
        ge=0,
        le=200,
        title="Sinkhorn rounds",
        description="Rounds of column and row normalisation. 0 leaves exp() unprojected; the mHC paper uses 20.",
        json_schema_extra=control("slider", unit="rounds", step=1, applies=ROUNDS),
    )
    sinkhorn_eps: float = Field(
        0.0,
        ge=0.0,
        le=1e-3,
        title="Sinkhorn eps",
        description="Added to every sum and to H_pre as DeepSeek-V4 does (1e-6 there). The mHC paper has none.",
        json_schema_extra=control("number", applies=ROUNDS),
    )
    mapping_dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        title="Mixing precision",
        description="Type in which logits, sigmoid and the map to H_res are computed; the coefficients that result are "
        "used as always. auto: float32, or float64 where the run is float64. bfloat16 shows what rounding leaves of "
        "sums of 1.",
        json_schema_extra=control("select", applies={"connection.kind": MAPPED}, later=True),
    )

    depth_block: int = Field(
        1,
        ge=1,
        le=1024,
        title="Layers a source",
        description="Where layers read earlier outputs: how many layers make one source. Of attnres it is the sum "
        "of their outputs, of denseformer the state after them. 1: every layer makes a source of its own. A block "
        "that is not full is a source too where it is read.",
        json_schema_extra=control("slider", unit="layers", step=1, applies={"connection.kind": READING}, later=True),
    )
    depth_heads: int = Field(
        1,
        ge=1,
        le=64,
        title="Heads over depth",
        description="Attention over depth: slices of the width that weigh the sources separately (MHAR). They must "
        "divide the width.",
        json_schema_extra=control("number", unit="heads", step=1, applies={"connection.kind": ATTENDING}, later=True),
    )
    depth_form: Literal["replace", "delta", "delta_gated"] = Field(
        "replace",
        title="Form over depth",
        description="Attention over depth: whether the weighted sum of the sources is all that a layer reads "
        "(replace), or is added to the plain residual state (delta), there also times a learned gate that starts at "
        "0 (delta_gated), so that the stack starts as the residual network. In the delta forms the read-out takes the "
        "plain state, and a block counts as a source once it is full.",
        json_schema_extra=control("select", applies={"connection.kind": ATTENDING}, later=True),
    )
    depth_values: Literal["plain", "normed"] = Field(
        "plain",
        title="Values over depth",
        description="Attention over depth: what is summed. plain: the sources. normed: the sources after RMSNorm, "
        "with logits over the square root of a head's features, as in Inkling2.",
        json_schema_extra=control("select", applies={"connection.kind": ATTENDING}, later=True),
    )

    gate_rank: int = Field(
        16,
        ge=1,
        le=1024,
        title="Rank",
        description="Rank of the projections that make a gate for each feature of each stream, or of the map on what "
        "passes a layer by. Qwen4-Exp has 320 at a width of 2048.",
        json_schema_extra=control("number", step=1, applies={"connection.kind": RANKED}, later=True),
    )

    @property
    def family(self) -> Family:
        """Return the family of this kind of connection, with the chosen projection."""
        family = FAMILIES[self.kind]
        return family.solved if family.solved is not None and self.projection == "newton" else family

    @property
    def scales_streams(self) -> bool:
        """Return whether each stream starts as the embedding times a separate vector, so that streams differ."""
        return self.family.streams == "copies" and self.expand == "scaled"

    @property
    def reads_previous(self) -> bool:
        """Return whether each layer reads with the H_pre that the layer before it computed."""
        return self.family.is_mapped and self.read_from == "previous"

    @property
    def is_dynamic(self) -> bool:
        """Return whether mixing depends on tokens, by choice or always."""
        return self.family.always_by_token or (self.dynamic and self.family.by_token)
