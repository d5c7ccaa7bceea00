"""Define presets that each show one property that families of 2024 to 2026 keep or give up."""

from typing import Any

from mhc_scope.presets.preset import RESIDUAL, Preset, compare

DRIFT: dict[str, Any] = {"init": "lucidrains", "noise": 1.0}


def _build_drifted(**kinds: str) -> dict[str, dict[str, Any]]:
    """Return the fields of runs of 24 layers that differ only in the kind of connection, by label."""
    return {label: {"depth": 24, "connection": {"kind": kind, **DRIFT}} for label, kind in kinds.items()}


PURPOSES: tuple[Preset, ...] = (
    compare(
        "families",
        "kept_differences",
        "What keeps streams different",
        "24 layers with the same drift. In mHC's product every difference between streams fades. The least singular "
        "value of C-mHC's product stays at 0.20, above its bound, and that of orthogonal matrices at 1.",
        _build_drifted(mHC="mhc", **{"C-mHC": "circulant"}, Orthogonal="orthogonal", oHC="quaternion"),
        metric="composite_sigma_min",
        reduction="last",
        panel="eigenvalues",
        view="product",
    ),
    compare(
        "families",
        "negative_entries",
        "Mixing with negative entries",
        "Orthogonal matrices keep the size of all streams together, but a signal that the streams share grows by up "
        "to ×1.95. JPmHC comes near them in two steps: its product keeps 96 % of every signal or more. The sums of sHC "
        "are 1 although entries are negative, so that its gain is ×1.00.",
        _build_drifted(sHC="shc", JPmHC="jpmhc", Orthogonal="orthogonal"),
        panel="detail",
    ),
    compare(
        "families",
        "exact_sums",
        "Sums of 1 without rounds",
        "go-mHC and TBP-mHC are doubly stochastic by construction, so that no gradient that the streams share grows. "
        "In osHC only rows sum to 1, and such a gradient grows by up to ×2.20.",
        _build_drifted(**{"go-mHC": "go_mhc", "TBP-mHC": "tbp"}, osHC="one_sided"),
        metric="composite_gain_bwd",
        panel="gain_bwd",
    ),
    compare(
        "families",
        "gated_features",
        "A gate for each feature",
        "mHC and Identity HC read whole streams, each with one weight. The Gated Residual, which does not mix "
        "streams, reads each feature of each stream with a gate of its own. At the start these gates are nearly equal.",
        {
            "mHC": {"depth": 24, "connection": {"kind": "mhc", "init": "deepseek_v4", "dynamic": True}},
            "Identity HC": {"depth": 24, "connection": {"kind": "identity_hc", "init": "deepseek_v4", "dynamic": True}},
            "Gated Residual": {"depth": 24, "connection": {"kind": "gated", "noise": 0.0}},
        },
        metric="stream_cos",
        reduction="last",
        panel="gates",
        view="gates_range",
    ),
    compare(
        "families",
        "weighted_states",
        "Weights on earlier states",
        "DenseFormer and LAuReL start as the residual network: layer 24 reads the embedding and all outputs with "
        "weight 1. The weighted residual adds the embedding before each block, and reads it there with weight 5.83.",
        {
            "Residual": {"depth": 24, **RESIDUAL},
            **{
                label: {"depth": 24, "connection": {"kind": kind, "noise": 0.0}}
                for label, kind in {"Weighted": "weighted", "DenseFormer": "denseformer", "LAuReL": "laurel"}.items()
            },
        },
        metric="act_rms",
        reduction="last",
        panel="unfolded",
        view="linear",
    ),
)
