"""Named comparisons to start from. The first is what a visitor sees before touching anything."""

from dataclasses import dataclass
from typing import Any

from mhc_core.spec import RunSpec, parse_spec


@dataclass(frozen=True)
class Preset:
    """A few specs that share their seed and input, and what to look at in them."""

    name: str
    title: str
    description: str
    labels: tuple[str, ...]
    specs: tuple[RunSpec, ...]

    def to_plain(self) -> dict[str, Any]:
        """As JSON sees it."""
        pairs = zip(self.labels, self.specs, strict=True)
        specs = [{"label": label, "id": spec.id, "spec": spec.model_dump(mode="json")} for label, spec in pairs]
        return {"name": self.name, "title": self.title, "description": self.description, "specs": specs}


def _compare(name: str, title: str, description: str, **variants: dict[str, Any]) -> Preset:
    labels = tuple(label.replace("_", " ") for label in variants)
    return Preset(name, title, description, labels, tuple(parse_spec(spec) for spec in variants.values()))


RESIDUAL: dict[str, Any] = {"connection": {"kind": "residual"}}
HC: dict[str, Any] = {"connection": {"kind": "hc"}}
MHC: dict[str, Any] = {"connection": {"kind": "mhc"}}


PRESETS: tuple[Preset, ...] = (
    _compare(
        "default",
        "Residual, HC, mHC",
        "The same 64 layers joined in three ways, with the same drift on the mixing of HC and mHC.",
        Residual=RESIDUAL,
        HC=HC,
        mHC=MHC,
    ),
    _compare(
        "at_init",
        "At initialisation",
        "No drift: HC starts as the residual network exactly, and so does mHC.",
        Residual=RESIDUAL,
        HC={"connection": {"kind": "hc", "noise": 0.0}},
        mHC={"connection": {"kind": "mhc", "noise": 0.0}},
    ),
    _compare(
        "deep",
        "Deep: 256 layers",
        "Four times the depth: what multiplies a little in each layer multiplies four times as often.",
        Residual=RESIDUAL | {"depth": 256},
        HC=HC | {"depth": 256},
        mHC=MHC | {"depth": 256},
    ),
    _compare(
        "strong_drift",
        "Strong drift",
        "Drift 1.0: HC's signal grows by orders of magnitude, mHC's mixing stays doubly stochastic.",
        Residual=RESIDUAL,
        HC={"connection": {"kind": "hc", "noise": 1.0}},
        mHC={"connection": {"kind": "mhc", "noise": 1.0}},
    ),
    _compare(
        "sinkhorn_rounds",
        "Rounds of Sinkhorn",
        "mHC with 0, 3 and 20 rounds at drift 1: how much projection it takes for the gain to stay near 1.",
        **{
            f"{rounds}_rounds": {"connection": {"kind": "mhc", "noise": 1.0, "sinkhorn_iters": rounds}}
            for rounds in (0, 3, 20)
        },
    ),
    _compare(
        "norm_position",
        "Pre-norm, post-norm, none",
        "A plain residual stack with its norm before the branch, after the addition, and without one.",
        pre_norm=RESIDUAL | {"block": {"norm_position": "pre"}},
        post_norm=RESIDUAL | {"block": {"norm_position": "post"}},
        no_norm=RESIDUAL | {"block": {"norm_position": "none"}},
    ),
    _compare(
        "no_skip",
        "Without skip connections",
        "A plain feed-forward stack of MLPs beside the same stack with residual connections.",
        Plain={"connection": {"kind": "none"}, "block": {"kind": "mlp"}},
        Residual=RESIDUAL | {"block": {"kind": "mlp"}},
    ),
    _compare(
        "init_presets",
        "Ways to initialise mHC",
        "Our residual-equivalent start, mhc-lite's, Megatron's and DeepSeek-V4's, each without drift.",
        **{
            name: {"connection": {"kind": "mhc", "init": name, "noise": 0.0}}
            for name in ("residual", "mhc_lite", "megatron", "deepseek_v4")
        },
    ),
    _compare(
        "relatives",
        "Relatives of mHC",
        "Sinkhorn's truncation against mixing that is doubly stochastic by construction, at drift 1.",
        mHC={"connection": {"kind": "mhc", "noise": 1.0}},
        mHC_lite={"connection": {"kind": "mhc_lite", "noise": 1.0}},
        KromHC={"connection": {"kind": "kromhc", "noise": 1.0}},
        Orthostochastic={"connection": {"kind": "orthostochastic", "noise": 1.0}},
    ),
    _compare(
        "frac",
        "Parts instead of copies",
        "Frac-Connections mix four parts of the width where HC mixes four copies of it, with the same drift.",
        Residual=RESIDUAL,
        HC=HC,
        Frac={"connection": {"kind": "frac"}},
    ),
    _compare(
        "branch_scaling",
        "Scaled branches",
        "A residual stack with plain branches, with 1/√depth on each, with ReZero's gain and with LayerNorm Scaling.",
        **{
            scaling: RESIDUAL | {"block": {"scaling": scaling}}
            for scaling in ("constant", "inv_sqrt_depth", "rezero", "layernorm_scaling")
        },
    ),
    _compare(
        "deepnorm",
        "Pre-norm, post-norm, DeepNorm",
        "DeepNorm enlarges the skip path of a post-norm stack and draws its branches smaller.",
        pre_norm=RESIDUAL,
        post_norm=RESIDUAL | {"block": {"norm_position": "post"}},
        DeepNorm=RESIDUAL | {"block": {"norm_position": "post", "scaling": "deepnorm"}},
    ),
    _compare(
        "laws",
        "Where theory speaks",
        "Wide MLP layers on Gaussian input meet the premises of most laws: each measured curve beside its band.",
        **{
            kind: {
                "connection": {"kind": kind},
                "width": 128,
                "block": {"kind": "mlp", "activation": "relu", "mlp_ratio": 2},
                "input": {"kind": "gaussian"},
            }
            for kind in ("none", "residual", "hc", "mhc")
        },
    ),
    _compare(
        "digits",
        "Handwritten digits",
        "Convolutions over images of 8 x 8 pixels, and the loss of telling which of ten digits each is.",
        **{
            kind: {"connection": {"kind": kind}, "block": {"kind": "conv"}, "input": {"kind": "digits"}}
            for kind in ("residual", "hc", "mhc")
        },
    ),
    _compare(
        "resnet",
        "ResNet blocks",
        "Convolutions on a square grid of tokens in place of attention.",
        **{kind: {"connection": {"kind": kind}, "block": {"kind": "conv"}} for kind in ("residual", "hc", "mhc")},
    ),
    _compare(
        "pair_stack",
        "AlphaFold's pair stack",
        "Triangle multiplication over Gaussian pairs: every layer reads across the grid.",
        **{
            kind: {"connection": {"kind": kind}, "block": {"kind": "pair"}, "input": {"kind": "gaussian"}}
            for kind in ("residual", "hc", "mhc")
        },
    ),
)

DEFAULT = PRESETS[0]
