"""Define presets that compare residual, HC and mHC in well-known stacks, after training and in deep stacks."""

from typing import Any

from mhc_scope.presets.preset import RESIDUAL, THREE, Preset, Reference, build_three, compare

TRAINING: dict[str, Any] = {"train": {"steps": 200, "lr": 0.01, "warmup": 50, "kept": 5}}
# The same training, with matrices at two steps only, to keep the records in the package small.
FEW_KEPT: dict[str, Any] = {"train": {**TRAINING["train"], "kept": 2}}

TRAINED = compare(
    "start",
    "trained",
    "Trained on text",
    "No noise is added: what moves the mixing is training, 200 steps on a corpus. HC's gain grows from ×1 to more than "
    "×100, and mHC's stays at ×1.00.",
    {
        label: {
            "depth": 64,
            "width": 32,
            "connection": connection,
            "block": {"kind": "transformer", "heads": 4},
            "input": {"kind": "corpus", "batch": 4, "tokens": 32},
            **TRAINING,
        }
        for label, connection in {
            "Residual": {"kind": "residual"},
            "HC": {"kind": "hc", "noise": 0.0},
            "mHC": {"kind": "mhc", "noise": 0.0, "init": "lucidrains"},
        }.items()
    },
)

DEPTH_ATTENTION = compare(
    "start",
    "depth_attention",
    "Attention over depth",
    "Attention Residuals: a layer reads all earlier outputs by weights of its own, which start equal. After "
    "200 training steps the embedding has 38 % of what layer 12 reads, where an even share is 8 %.",
    {
        label: {
            "depth": 24,
            "width": 32,
            "connection": connection,
            "block": {"kind": "transformer", "heads": 4},
            "input": {"kind": "corpus", "batch": 4, "tokens": 32},
            **training,
        }
        for label, connection, training in (
            ("Residual", {"kind": "residual"}, FEW_KEPT),
            ("AttnRes, at the start", {"kind": "attnres", "noise": 0.0}, {}),
            ("AttnRes, trained", {"kind": "attnres", "noise": 0.0}, FEW_KEPT),
        )
    },
    metric="act_rms",
    reduction="last",
    panel="unfolded",
    view="linear",
    reference=Reference(
        "Attention Residuals, arXiv 2603.15031, by the code of flash-linear-attention",
        "A layer reads a sum of earlier outputs, weighted by the softmax of their scores against a query.",
        "That code is one operator; here 24 layers of width 32 train for 200 steps.",
    ),
)

COMPARISONS: tuple[Preset, ...] = (
    compare(
        "start",
        "default",
        "Residual, HC, mHC",
        "The same 64 layers connected in three ways, with the same drift on the mixing of HC and mHC.",
        THREE,
    ),
    compare(
        "start",
        "at_init",
        "At initialisation",
        "Without drift, HC starts as the residual network exactly, and mHC up to rounding.",
        {
            "Residual": RESIDUAL,
            "HC": {"connection": {"kind": "hc", "noise": 0.0}},
            "mHC": {"connection": {"kind": "mhc", "noise": 0.0}},
        },
    ),
    TRAINED,
    compare(
        "start",
        "deep",
        "Deep: 256 layers",
        "HC's gain is ×460 after 64 layers, down from ×790 at layer 58, and ×9.1 billion after 256.",
        build_three(depth=256),
    ),
    compare(
        "start",
        "strong_drift",
        "Strong drift",
        "At drift 1, HC's signal grows by more than 19 orders of magnitude. mHC's rows sum to 1, and 20 Sinkhorn "
        "rounds leave its columns up to 1.5 % off with this seed.",
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
        "At drift 1, 20 Sinkhorn rounds leave mHC a backward gain of up to ×1.02 with this seed. Its relatives are "
        "doubly stochastic by construction, so theirs is ×1.00.",
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
        "Split instead of copy (Frac)",
        "HC mixes four copies of the width; Frac-Connections mix four parts of it, with the same drift.",
        {"Residual": RESIDUAL, "HC": THREE["HC"], "Frac": {"connection": {"kind": "frac"}}},
    ),
    DEPTH_ATTENTION,  # the tallest card is the last one
)

# With its default initialisation and this drift, mHC hardly mixes.
ALIKE = "mHC starts like the residual network, so both curves coincide."

STACKS: tuple[Preset, ...] = (
    compare(
        "stacks",
        "gpt",
        "GPT blocks",
        f"Twelve causal transformer blocks. Attention and MLP alternate, and each is one layer. {ALIKE}",
        build_three(depth=24),
        metric="act_rms",
        reduction="last",
        panel="activation",
    ),
    compare(
        "stacks",
        "resnet",
        "ResNet blocks",
        f"Convolutions on a square grid of tokens instead of attention. {ALIKE}",
        build_three(block={"kind": "conv"}),
        metric="act_rms",
        reduction="last",
        panel="activation",
    ),
    compare(
        "stacks",
        "pair_stack",
        "AlphaFold's triangle multiplication",
        "Outgoing and incoming triangle multiplication and a transition on Gaussian pairs, without triangle attention. "
        f"{ALIKE}",
        build_three(block={"kind": "pair"}, input={"kind": "gaussian"}),
        metric="act_rms",
        reduction="last",
        panel="activation",
    ),
    compare(
        "stacks",
        "digits",
        "Handwritten digits",
        f"Convolutions on images of 8 x 8 pixels, with the loss of classifying ten digits. {ALIKE}",
        build_three(block={"kind": "conv"}, input={"kind": "digits"}),
        metric="grad_rms",
        reduction="first",
        panel="gradient",
    ),
)
