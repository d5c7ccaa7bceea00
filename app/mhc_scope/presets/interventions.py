"""Define presets that intervene in a stack."""

from typing import Any

from mhc_scope.presets.preset import HC, MHC, Preset, Reference, compare

CUT: dict[str, Any] = {"layers": [20, 20], "what": "stream", "index": 2, "do": "zero"}

INTERVENTIONS: tuple[Preset, ...] = (
    compare(
        "edits",
        "cut_stream",
        "Cut a stream",
        "One of four streams is cut at layer 21 of 64. After that layer the state of HC differs by 37 % and that of "
        "mHC by 47 % from the run without the cut, at the end by less than 30 %.",
        {"HC": HC | {"edits": [CUT]}, "mHC": MHC | {"edits": [CUT]}},
        metric="effect_state",
        reduction="last",
        panel="effect",
        reference=Reference(
            "Stream ablation and rescue, arXiv 2603.14833, as a summary describes it",
            "A stream of a trained model is deleted at one layer and restored from a copy some layers later.",
            "That is a trained language model of 780M parameters; here 64 untrained layers of width 64 with a drift.",
        ),
    ),
)
