"""The block of a spec: what a layer computes."""

from typing import Literal

from pydantic import Field

from mhc_core.spec.part import SpecPart, control

BlockKind = Literal["mlp", "transformer", "conv", "pair"]
ValueResidual = Literal["off", "fixed", "learned"]
BranchScaling = Literal["constant", "inv_sqrt_depth", "rezero", "skipinit", "deepnorm", "layernorm_scaling"]

GRID_BLOCKS = ("conv", "pair")
# With these, a layer depends on the depth of the stack: the first layers of a deeper stack are different.
DEPTH_SCALED: tuple[BranchScaling, ...] = ("inv_sqrt_depth", "skipinit", "deepnorm")
MAX_HEADS = 64


class BlockSpec(SpecPart):
    """What a layer computes: the branch F."""

    kind: BlockKind = Field(
        "transformer",
        title="Block",
        description="mlp: every layer is an MLP. transformer: causal attention and MLP alternate; each is one layer. "
        "conv: two 3 x 3 convolutions on a square grid of tokens, as in ResNet. pair: AlphaFold's triangle "
        "multiplication, outgoing and incoming, then its transition, on a square grid of pairs. The last two see "
        "tokens to come.",
        json_schema_extra=control("select"),
    )
    norm: Literal["rmsnorm", "layernorm"] = Field(
        "rmsnorm",
        title="Norm",
        description="Normalisation without learned gain, eps 1e-20: at the norm position, and within a pair block.",
        json_schema_extra=control(
            "select", applies=({"block.norm_position": ("pre", "post")}, {"block.kind": ("pair",)})
        ),
    )
    norm_position: Literal["pre", "post", "none"] = Field(
        "pre",
        title="Norm position",
        description="pre: before the branch. post: after the addition, per stream. none: neither; a pair block "
        "still normalises its product of edges.",
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
        le=MAX_HEADS,
        title="Heads",
        description="Attention heads; must divide the width.",
        json_schema_extra=control("number", step=1, applies={"block.kind": ("transformer",)}),
    )
    value_residual: ValueResidual = Field(
        "off",
        title="Value residual",
        description="fixed: attention layers after the first attend to the mean of their own values and those of the "
        "first. learned: to a sum of both with two learned weights for each layer, 1/2 at the start. As in code that "
        "follows ResFormer (arXiv 2410.17897).",
        json_schema_extra=control("select", applies={"block.kind": ("transformer",)}, later=True),
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
