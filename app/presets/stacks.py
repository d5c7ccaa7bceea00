"""Stacks people know, and what the three connections do to them."""

from app.presets.preset import RESIDUAL, THREE, Preset, compare, over_three

COMPARISONS: tuple[Preset, ...] = (
    compare(
        "start",
        "default",
        "Residual, HC, mHC",
        "The same 64 layers joined in three ways, with the same drift on the mixing of HC and mHC.",
        THREE,
    ),
    compare(
        "start",
        "at_init",
        "At initialisation",
        "No drift: HC starts as the residual network exactly, and so does mHC.",
        {
            "Residual": RESIDUAL,
            "HC": {"connection": {"kind": "hc", "noise": 0.0}},
            "mHC": {"connection": {"kind": "mhc", "noise": 0.0}},
        },
    ),
    compare(
        "start",
        "deep",
        "Deep: 256 layers",
        "Four times the depth: what multiplies a little in each layer multiplies four times as often.",
        over_three(depth=256),
    ),
    compare(
        "start",
        "strong_drift",
        "Strong drift",
        "Drift 1.0: HC's signal grows by orders of magnitude, mHC's mixing stays doubly stochastic.",
        {
            "Residual": RESIDUAL,
            "HC": {"connection": {"kind": "hc", "noise": 1.0}},
            "mHC": {"connection": {"kind": "mhc", "noise": 1.0}},
        },
    ),
    compare(
        "start",
        "relatives",
        "Relatives of mHC",
        "Sinkhorn's truncation against mixing that is doubly stochastic by construction, at drift 1.",
        {
            label: {"connection": {"kind": kind, "noise": 1.0}}
            for label, kind in {
                "mHC": "mhc",
                "mHC lite": "mhc_lite",
                "KromHC": "kromhc",
                "Orthostochastic": "orthostochastic",
            }.items()
        },
        metric="composite_gain_bwd",
    ),
    compare(
        "start",
        "frac",
        "Parts instead of copies",
        "Frac-Connections mix four parts of the width where HC mixes four copies of it, with the same drift.",
        {"Residual": RESIDUAL, "HC": THREE["HC"], "Frac": {"connection": {"kind": "frac"}}},
    ),
)

STACKS: tuple[Preset, ...] = (
    compare(
        "stacks",
        "gpt",
        "GPT blocks",
        "Twelve causal transformer blocks: attention and MLP take turns, and each is one layer.",
        over_three(depth=24),
        metric="act_rms",
        reduction="last",
        panel="activation",
    ),
    compare(
        "stacks",
        "resnet",
        "ResNet blocks",
        "Convolutions on a square grid of tokens in place of attention.",
        over_three(block={"kind": "conv"}),
        metric="act_rms",
        reduction="last",
        panel="activation",
    ),
    compare(
        "stacks",
        "pair_stack",
        "AlphaFold's pair stack",
        "Triangle multiplication over Gaussian pairs: every layer reads across the grid.",
        over_three(block={"kind": "pair"}, input={"kind": "gaussian"}),
        metric="act_rms",
        reduction="last",
        panel="activation",
    ),
    compare(
        "stacks",
        "digits",
        "Handwritten digits",
        "Convolutions over images of 8 x 8 pixels, and the loss of telling which of ten digits each is.",
        over_three(block={"kind": "conv"}, input={"kind": "digits"}),
        metric="grad_rms",
        reduction="first",
        panel="gradient",
    ),
)
