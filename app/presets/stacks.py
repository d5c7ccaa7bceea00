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
        "No drift: HC starts as the residual network exactly, mHC up to rounding.",
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
        "Four times the depth: HC's gain, 460 after 64 layers, is 9.1 billion after 256.",
        over_three(depth=256),
    ),
    compare(
        "start",
        "strong_drift",
        "Strong drift",
        "Drift 1: HC's signal grows by more than 19 orders of magnitude. mHC's rows sum to 1, while 20 rounds of "
        "Sinkhorn leave columns up to 1.5 % off with this seed.",
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
        "At drift 1 and with this seed, Sinkhorn's 20 rounds leave a backward gain of up to 1.02; mixing that is "
        "doubly stochastic by construction has 1.",
        {
            label: {"connection": {"kind": kind, "noise": 1.0}}
            for label, kind in {
                "mHC": "mhc",
                "mHC-lite": "mhc_lite",
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
        "AlphaFold's triangle multiplication",
        "Triangle multiplication, outgoing and incoming, then a transition, on Gaussian pairs; no triangle attention.",
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
