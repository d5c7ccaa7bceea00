"""Dynamic mixing token by token: what the mean over tokens hides."""

from mhc_core.metrics.catalogue.sources import AMAX
from mhc_core.metrics.registry import Metric, declare

WAYS = {
    "fwd": ("forward", "max_i |sum_j M[i,j]|", "H_res_l[t] ... H_res_1[t]"),
    "bwd": ("backward", "max_j |sum_i M[i,j]|", "H_res_L[t] ... H_res_l[t]"),
}

SPREAD = {"min": "least", "median": "median", "mean": "mean", "max": "largest"}

NOTES = {
    "mean": " Where tokens differ it can exceed the gain of averaged matrices by decades: what tokens have apart "
    "cancels in that average, and a few tokens with large gains make this one."
}

for _way, (_title, _gain, _product) in WAYS.items():
    declare(
        Metric(f"composite_gain_{_way}_tokens", f"Composite gain, {_title}, tokens apart", "", "log", "L", "mixing",
               "The composite gain where each token's own matrices are multiplied and the products averaged; dynamic "
               "mixing only.",
               f"{_gain}, M = mean_t {_product}", AMAX, precision=(1e-5, 0.0), prefix=_way == "fwd"),
        *(
            Metric(f"composite_gain_{_way}_token_{_key}", f"Composite gain, {_title}, {_name} token", "", "log", "L",
                   "mixing", f"The {_name} over tokens of the composite gain of a token's own matrices, before "
                   f"anything is averaged; dynamic mixing only.{NOTES.get(_key, '')}",
                   f"{_key}_t {_gain}, M = {_product}", AMAX, precision=(1e-5, 0.0), prefix=_way == "fwd")
            for _key, _name in SPREAD.items()
        ),
    )  # fmt: skip
