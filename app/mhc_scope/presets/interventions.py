"""Define presets with edits of a stack."""

from typing import Any

from mhc_scope.presets.preset import HC, MIXING_MHC, Preset, Reference, compare

CUT: dict[str, Any] = {"layers": [20, 20], "what": "stream", "index": 2, "do": "zero"}

DEPTH = 12
EARLY: dict[str, Any] = {"layers": [0, DEPTH // 2 - 1], "what": "h_res", "do": "identity"}
LATE = EARLY | {"layers": [DEPTH // 2, DEPTH - 1]}
# As in docs/edits.md, but with half the depth and fewer steps, because the records are part of the package. Of the
# seeds 0 to 2, this one has the median difference between both halves.
TRAINED_MIXING: dict[str, Any] = {
    "depth": DEPTH,
    "seed": 2,
    "connection": {"kind": "mhc", "dynamic": True, "init": "deepseek_v4", "noise": 0.0},
    "input": {"kind": "corpus", "batch": 16, "tokens": 64},
    "train": {"steps": 300, "lr": 0.003, "warmup": 40, "clip": 1.0, "kept": 2},
}

INTERVENTIONS: tuple[Preset, ...] = (
    compare(
        "edits",
        "cut_stream",
        "Cut a stream",
        "One of four streams is cut at layer 21 of 64. After that layer the state of HC differs by 37 % and that of "
        "mHC by 27 % from the run without the cut, at the end by 28 % and 20 %.",
        # The runs of the story's step about a cut.
        {"HC": HC | {"edits": [CUT]}, "mHC": MIXING_MHC | {"edits": [CUT]}},
        metric="effect_state",
        reduction="last",
        panel="effect",
        reference=Reference(
            "Stream ablation and rescue, arXiv 2603.14833, as a summary describes it",
            "A stream of a trained model is deleted at one layer and restored from a copy some layers later.",
            "That is a trained language model of 780M parameters; here 64 untrained layers of width 64 with a drift.",
        ),
    ),
    compare(
        "edits",
        "identity_halves",
        "Identity late, identity early",
        "12 layers of mHC are trained, then H_res is replaced by the identity in one half. In the early half "
        "perplexity rises by 1.0 %, in the late half by 0.1 %, although the last state changes more there.",
        {
            "Identity early": TRAINED_MIXING | {"edits": [EARLY]},
            "Identity late": TRAINED_MIXING | {"edits": [LATE]},
        },
        metric="effect_state",
        reduction="last",
        number="perplexity",
        panel="effect",
        reference=Reference(
            "arXiv 2609.05309, as a summary quotes it",
            "Perplexity rises by 41 % with the identity in the early half, and by 1.9 % in the late half.",
            "That is a trained DeepSeek-V4-Flash; here 12 layers of width 64 that read bytes train for 300 steps. "
            "Stacks as small as this can have the other order.",
            {"Identity early": "41", "Identity late": "1.9"},
        ),
    ),
)
