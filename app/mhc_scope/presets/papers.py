"""Define presets that reproduce figures of the two papers, at a scale that one CPU core computes in a second.

The papers' numbers are only those that they print. All other numbers come from the runs.
"""

from mhc_scope.presets.preset import HC, MHC, RESIDUAL, Preset, Reference, build_three, compare

MHC_PAPER, HC_PAPER = "mHC, arXiv 2512.24880", "Hyper-Connections, arXiv 2409.19606"
TRAINED = "27B parameters, width 2560, trained, with mixing that depends on each token"
DRIFT = "here width 64 and static mixing with a Gaussian drift instead of training"
# Composite gains that the mHC paper prints.
HC_GAIN, MHC_GAIN = "up to about 3000", "up to about 1.6"
# Two layers per block, as in the paper's 27B model with 30 blocks.
SIXTY = {"depth": 60}

MHC_FIGURES: tuple[Preset, ...] = (
    compare(
        "mhc",
        "mhc_fig_2",
        "Fig. 2: HC's training becomes unstable",
        "At a learning rate at which the residual stack and mHC train stably, HC's loss rises to more than twice its "
        "initial value within 40 steps.",
        build_three(depth=32, width=32, input={"tokens": 32}, train={"steps": 40, "lr": 0.2}),
        metric="step_loss",
        reduction="max",
        panel="training",
        reference=Reference(
            f"{MHC_PAPER}, Fig. 2 and Fig. 5",
            "HC's loss surges at about step 12,000, and its gradient norm with it (Fig. 2). mHC stays stable, and its "
            "loss ends 0.021 below the baseline's (Fig. 5).",
            "27B parameters and 50,000 steps; here 32 layers of width 32 and a learning rate 500 times theirs.",
        ),
    ),
    compare(
        "mhc",
        "mhc_fig_3",
        "Fig. 3: HC's gain compounds",
        "No layer of HC amplifies a signal by more than ×3, but 58 layers in sequence amplify it by ×790, and all "
        "60 by ×769.",
        {"Residual": RESIDUAL | SIXTY, "HC": HC | SIXTY},
        reference=Reference(
            f"{MHC_PAPER}, Fig. 3", f"Composite Amax gain of HC {HC_GAIN}.", f"{TRAINED}; {DRIFT}.", {"HC": HC_GAIN}
        ),
    ),
    compare(
        "mhc",
        "mhc_fig_7",
        "Fig. 7: mHC's gain stays bounded",
        "HC and mHC with the same drift; 20 Sinkhorn rounds bring mHC's row and column sums to 1. HC amplifies a "
        "gradient by up to ×858, mHC by ×1.003, and mHC at drift 1 by ×1.025.",
        {"HC": HC | SIXTY, "mHC": MHC | SIXTY, "mHC, drift 1": SIXTY | {"connection": {"kind": "mhc", "noise": 1.0}}},
        metric="composite_gain_bwd",
        reference=Reference(
            f"{MHC_PAPER}, Fig. 7", f"Composite Amax gain of mHC {MHC_GAIN}.", f"{TRAINED}; {DRIFT}.", {"mHC": MHC_GAIN}
        ),
    ),
    compare(
        "mhc",
        "mhc_fig_8",
        "Fig. 8: the matrices themselves",
        "Single layers and the product of all 60. The largest row sum is the forward gain, the largest column sum the "
        "backward gain.",
        {"HC": HC | SIXTY, "mHC": MHC | SIXTY},
        metric="composite_gain_bwd",
        reduction="first",  # the gain of the product of all layers, which the figure shows
        panel="detail",
        view="interval",
        # The numbers in the paper's figure are an image. These are from its text about the same products.
        reference=Reference(
            f"{MHC_PAPER}, Fig. 8 and its text",
            f"Composite Amax gain of HC {HC_GAIN}, of mHC {MHC_GAIN}.",
            f"{TRAINED}; {DRIFT}.",
            {"HC": HC_GAIN, "mHC": MHC_GAIN},
        ),
    ),
    compare(
        "mhc",
        "sinkhorn_dial",
        "Sinkhorn rounds, from 0 to 200",
        "Sinkhorn rounds bring row and column sums closer to 1. At drift 1, the largest backward gain falls from "
        "×78,000 without a round to ×1.01 after 200.",
        {
            label: {"connection": {"kind": "mhc", "noise": noise, "sinkhorn_iters": 0}}
            for label, noise in {"drift 0.3": 0.3, "drift 1": 1.0}.items()
        },
        metric="composite_gain_bwd",
        plays="connection.sinkhorn_iters",
        reference=Reference(
            f"{MHC_PAPER}, section 4.2", "20 rounds of Eq. 9.", "Here 0 to 200 rounds, on static matrices."
        ),
    ),
    compare(
        "mhc",
        "sinkhorn_rounds",
        "0, 3 and 20 Sinkhorn rounds",
        "mHC at drift 1: without projection the backward gain reaches ×78,000; three rounds bring it within 3 % of ×1.",
        {
            f"{rounds} rounds": {"connection": {"kind": "mhc", "noise": 1.0, "sinkhorn_iters": rounds}}
            for rounds in (0, 3, 20)
        },
        metric="composite_gain_bwd",
    ),
)

HC_FIGURES: tuple[Preset, ...] = (
    compare(
        "hc",
        "hc_collapse",
        "Fig. 3: late layers read similar inputs",
        "Cosine similarity of consecutive layers' inputs: pre-norm, post-norm, and HC without and with drift. Over the "
        "last 16 layers, the median cosine of pre-norm is 0.990. Drift flips the sign of some of HC's cosines; their "
        "median magnitude is 0.995.",
        {
            "pre-norm": RESIDUAL,
            "post-norm": RESIDUAL | {"block": {"norm_position": "post"}},
            "HC, no drift": {"connection": {"kind": "hc", "noise": 0.0}},
            "HC": HC,
        },
        metric="cos_prev",
        reduction="min",
        panel="similarity",
        reference=Reference(
            f"{HC_PAPER}, Fig. 3",
            "Pre-norm's inputs are similar in deep layers, and HC's are less so.",
            "Trained language models; here 64 untrained layers, where drift stands for training: it flips signs and "
            "does not make HC's inputs less similar in magnitude.",
        ),
    ),
    compare(
        "hc",
        "hc_unfolded",
        "Effective skip connections",
        "Without drift, HC is the residual network: every layer reads the sum of all previous outputs. Drift changes "
        "that.",
        {"HC, no drift": {"connection": {"kind": "hc", "noise": 0.0}}, "HC": HC, "mHC": MHC},
        panel="unfolded",
        reference=Reference(
            f"{HC_PAPER}, section 4.5 and Fig. 7",
            "Trained hyper-connections, unfolded into the weight of each layer's output in each later input.",
            "Learned patterns there; patterns of a random drift here.",
        ),
    ),
)
