"""Define all published initialisations of mixing, and the presets that compare them."""

from dataclasses import dataclass
from typing import Any

from mhc_core.spec import RunSpec, parse_spec
from mhc_scope.presets.preset import Preset, compare

STEPS = 60
TRAINING: dict[str, Any] = {"steps": STEPS, "lr": 0.01, "warmup": STEPS // 4, "kept": 2}


@dataclass(frozen=True)
class Initialisation:
    """One published initialisation of mixing.

    name: name of its authors or model. source: code from which it was taken. connection: fields of a spec that select
    it.
    """

    name: str
    source: str
    connection: dict[str, Any]

    def build_spec(self, is_trained: bool = True) -> RunSpec:
        """Build the spec with which initialisations are compared. Mixing depends on tokens, as published.

        It is computed in float64, because in float32 rounding makes equal streams different, and training then changes
        H_res.
        """
        fields = {
            "dtype": "float64",
            "depth": 12,
            "width": 32,
            "connection": {**self.connection, "dynamic": True, "noise": 0.0},
            "block": {"kind": "transformer", "heads": 4},
            "input": {"kind": "corpus", "batch": 4, "tokens": 32},
        }
        return parse_spec({**fields, "train": TRAINING} if is_trained else fields)


INITIALISATIONS: dict[str, Initialisation] = {
    "residual": Initialisation("residual-equivalent", "mHC Scope", {"kind": "mhc", "init": "residual"}),
    "hy_v4": Initialisation("HY-V4", "transformers, `HYV4PreTrainedModel`", {"kind": "identity_hc", "init": "hy_v4"}),
    "mhc_lite": Initialisation(
        "mHC-lite", "`hyper_conn/mhc_lite.py` of its authors", {"kind": "mhc_lite", "init": "mhc_lite"}
    ),
    "scaled": Initialisation(
        "scaled streams",
        "brain-lab-research/hc-stream-collapse, `hyper_conn/mhc_lite.py`",
        {"kind": "mhc_lite", "init": "mhc_lite", "expand": "scaled"},
    ),
    "lucidrains": Initialisation("lucidrains", "lucidrains/hyper-connections", {"kind": "mhc", "init": "lucidrains"}),
    "c_mhc": Initialisation(
        "C-mHC",
        "contactsebi/circulant-hyper-connections, `code/exp_train.py`",
        {"kind": "circulant", "init": "c_mhc"},
    ),
    "megatron": Initialisation("Megatron", "Megatron-LM, `hyper_connection.py`", {"kind": "mhc", "init": "megatron"}),
    "deepseek_v4": Initialisation(
        "DeepSeek-V4", "transformers, `DeepseekV4PreTrainedModel`", {"kind": "mhc", "init": "deepseek_v4"}
    ),
    "deepseek_v41": Initialisation(
        "DeepSeek-V4.1",
        "transformers, `DeepseekV41DecoderLayer`",
        {"kind": "mhc", "init": "deepseek_v4", "read_from": "previous"},
    ),
}


def _compare_trained(name: str, title: str, description: str, *keys: str) -> Preset:
    """Build a preset that compares initialisations, given by their keys, after the same training."""
    runs = {INITIALISATIONS[key].name: INITIALISATIONS[key].build_spec().model_dump(mode="json") for key in keys}
    return compare(
        "starts", name, title, description, runs,
        metric="h_res_to_uniform", reduction="median", panel="mixing",
    )  # fmt: skip


PRESETS_OF_INITIALISATION: tuple[Preset, ...] = (
    _compare_trained(
        "init_learning",
        "Where mixing has a gradient to learn from",
        "After 60 training steps DeepSeek-V4's start, whose gates are 1, has moved H_res by 1.6 in the median layer; "
        "from even weights to one stream each it is 1.73. Megatron's has moved it by 0.2. Under mHC-lite's, whose "
        "logits are saturated, it moves by 0.011, and by 0.0096 with scaled streams.",
        "mhc_lite", "scaled", "megatron", "deepseek_v4",
    ),
    _compare_trained(
        "init_presets",
        "Where mixing has no gradient to learn from",
        "Streams that are alike give H_res no gradient. The residual-equivalent start leaves them alike in all 60 "
        "training steps. That of lucidrains parts them by the weights of reads, and that of C-mHC by small random "
        "projections: H_res moves by 0.041 and by 0.012 in the median layer. HY-V4 has no H_res.",
        "residual", "hy_v4", "lucidrains", "c_mhc",
    ),
    compare(
        "starts",
        "init_identity",
        "How much of a difference between streams survives",
        "After 64 layers, mHC-lite's start keeps 92 % of the differences between streams. lucidrains' keeps 30 % after "
        "one layer and next to nothing at the end; Megatron's averages all streams and keeps nothing.",
        {
            INITIALISATIONS[name].name: {"connection": {"kind": "mhc", "init": name, "noise": 0.0}}
            for name in ("mhc_lite", "lucidrains", "megatron")
        },
        metric="composite_sigma2",
        reduction="last",
        panel="detail",
        view="interval",
    ),
)  # fmt: skip
