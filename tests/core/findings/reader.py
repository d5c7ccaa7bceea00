"""Reads sentences of a summary and recomputes what they claim, from raw columns, without code of mhc_core.findings.

Every sentence that a run of a spec can say has a template here: a pattern, and a function that recomputes its numbers
and its claim. A sentence that fits no template is an error, and so is a number that is not what the columns give.

Of a run of several seeds the medians are those of runs of one seed each, which are computed here one by one.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from mhc_core.measure.passes import measure_disturbed_gradient
from mhc_core.measure.run import run as compute_run
from mhc_core.record.result import Result
from mhc_core.spec import EditSpec, RunSpec, parse_spec
from mhc_core.stack import build_stack

Array = np.ndarray
POWERS = {sign: str(digit) for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")} | {"⁻": "-"}
MINUS = "−"
NUMBER = r"\d+(?:\.\d+)?(?:×10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?"
DIGITS = r"\d+(?:,\d\d\d)*(?:\.\d+)?(?:×10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?"  # of a gain, behind its ×
SLACK = 5e-5  # relative: columns of states are float32, and products of their matrices are made anew


class FalseSentence(AssertionError):
    """A sentence that says what the columns do not."""


@dataclass(frozen=True)
class Run:
    """A result with its spec, and of several seeds the results of each seed alone."""

    spec: RunSpec
    result: Result
    alone: Sequence[Result]

    @property
    def has_seeds(self) -> bool:
        return len(self.alone) > 1


def require(holds: object, why: str) -> None:
    if not holds:
        raise FalseSentence(why)


# Numbers as they are written.


def require_number(text: str, log10: float, what: str) -> None:
    """The text is this magnitude, in the digits that it has: three or more, or two of a power of ten."""
    if text in ("0", "0.000"):
        require(log10 == -math.inf, f"{what}: {text} is written for 10^{log10}")
        return
    require(math.isfinite(log10), f"{what}: {text} is written for 10^{log10}")
    mantissa, _, power = text.partition("×10")
    exponent = int("".join(POWERS[sign] for sign in power) or 0)
    written = math.log10(float(mantissa)) + exponent
    value = 10 ** (log10 - exponent)
    decimals = len(mantissa.partition(".")[2])
    unit = 0.1 if power else min(1.0, 10.0 ** (math.floor(written) - 2), 10.0**-decimals)
    require(
        abs(float(mantissa) - value) <= unit / 2 + SLACK * value + 1e-12,
        f"{what}: {text} is written for 10^{log10} = {10.0**log10 if abs(log10) < 300 else math.inf:.6g}",
    )


def require_gain(text: str, log10: float, what: str) -> None:
    """The text is this gain, in three digits, with zeros at the end; or in two digits of a power of ten."""
    if text == "0":
        require(log10 == -math.inf, f"{what}: ×0 is written for 10^{log10}")
        return
    mantissa, _, power = text.replace(",", "").partition("×10")
    exponent = int("".join(POWERS[sign] for sign in power) or 0)
    value, digits = 10 ** (log10 - exponent), 2 if power else 3
    unit = 10.0 ** (math.floor(math.log10(float(mantissa))) - digits + 1)
    require(
        abs(float(mantissa) - value) <= unit / 2 + SLACK * value + 1e-12,
        f"{what}: ×{text} is written for 10^{log10}",
    )
    require(len(mantissa.replace(".", "").lstrip("0")) >= digits, f"{what}: ×{text} has fewer digits")


def require_value(text: str, value: float, what: str) -> None:
    """The same of a value that is not below zero."""
    size = text.removeprefix(MINUS)
    require_number(size, log_of(abs(value)), what)
    require(text.startswith(MINUS) == (value < 0 and float(size.partition("×")[0]) != 0), f"{what}: {text}, {value}")


def require_fixed(text: str, value: float, what: str) -> None:
    """The same of a value in three decimals, which may have fewer digits than three."""
    if "×" in text:
        require_value(text, value, what)
    else:
        require(abs(float(text.replace(MINUS, "-")) - value) <= 0.0005 + SLACK * abs(value), f"{what}: {text}, {value}")


def require_count(text: str, number: int, what: str) -> None:
    require(int(text) == number, f"{what}: {text}, not {number}")


def log_of(value: float) -> float:
    return math.log10(value) if value > 0 else -math.inf if value == 0 else math.nan


# Raw columns.


def logs_of(result: Result, key: str) -> Array:
    """log10 of a column (L): -inf for zero, nan where nothing is known.

    Values are taken where they have all their digits; near the least number of their type they have few.
    """
    values, logs = result.layers[key], result.layers_log10[key].astype(np.float64)
    is_full = np.isfinite(values) & (np.abs(values) >= np.finfo(values.dtype).tiny)
    with np.errstate(divide="ignore"):
        return np.where(is_full | (values == 0), np.log10(np.abs(values.astype(np.float64))), logs)


def matrices_of(result: Result) -> Array:
    return result.matrices["h_res"].astype(np.float64)


def products(matrices_Lnn: Array) -> list[tuple[Array, float]]:
    """H_l ... H_1 for every l as (matrix, log10 of its factor); nan from the first matrix on that is not known."""
    found, product, log10 = [], np.eye(matrices_Lnn.shape[1]), 0.0
    for matrix in matrices_Lnn:
        product = matrix @ product
        size = float(np.abs(product).max())
        if size > 0 and math.isfinite(size):
            product, log10 = product / size, log10 + math.log10(size)
        found.append((product, log10))
    return found


def gains_of(result: Result, way: str) -> list[float]:
    """log10 of the gain at each layer: forward of H_l ... H_1, backward of H_L ... H_l, its layers from the first."""
    matrices = matrices_of(result)
    found = products(matrices if way == "forward" else matrices[::-1].transpose(0, 2, 1))
    gains = [log_of(float(np.abs(product.sum(1)).max())) + log10 for product, log10 in found]
    return gains if way == "forward" else gains[::-1]


def largest_of(result: Result, way: str) -> float:
    """nan where a layer's gain is not known."""
    gains = gains_of(result, way)
    return math.nan if any(math.isnan(gain) for gain in gains) else max(gains)


def percentile(values: Sequence[float], level: float) -> float:
    """Linear between order statistics; -inf ranks below all."""
    ordered = sorted(values)
    place = level * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low if low == high or low == -math.inf else low + (place - math.floor(place)) * (high - low)


def median_with_lost(columns: Sequence[Array], layer: int) -> float:
    """The median over seeds at a layer, where what has overflowed is larger than every number."""
    return percentile([math.inf if math.isnan(column[layer]) else float(column[layer]) for column in columns], 0.5)


# What is said of gains, inside of sentences on the connection.

VERB = r"(?P<{0}verb>amplifies up to|has a gain of up to)"
GAINS = (
    (
        rf"{VERB.format('')} ×(?P<fwd>{DIGITS}) forward and ×(?P<bwd>{DIGITS}) backward",
        "gains",
    ),
    (
        rf"{VERB.format('p')} ×(?P<part>{DIGITS}) forward within (?P<until>\d+) layers?; then (?P<dtype>\w+) "
        r"overflows, and later mixing is unknown",
        "part",
    ),
    (r"has no known gain: (?P<none>\w+) overflows at layer 1", "none"),
    (
        rf"{VERB.format('s')} ×(?P<f>{DIGITS}) forward \(×(?P<f5>{DIGITS}) to ×(?P<f95>{DIGITS})\) "
        rf"and ×(?P<b>{DIGITS}) backward \(×(?P<b5>{DIGITS}) to ×(?P<b95>{DIGITS})\), medians of "
        r"(?P<seeds>\d+) seeds? with 5 to 95 % in brackets"
        r"(?:; with (?P<lost>\d+) more \w+ overflows, and their gain is unknown)?",
        "seeds",
    ),
    (r"has no known gain: \w+ overflows with each of (?P<all>\d+) seeds", "all"),
)
GAIN = "(?:" + "|".join(pattern for pattern, _ in GAINS) + ")"


def require_verb(verb: str, *log10: float) -> None:
    """What is said to amplify is larger than 1 in both directions, and what is not is not."""
    above = min(log10) - math.log10(1.005)
    if abs(above) > 1e-5:  # where rounding does not decide
        require((verb == "amplifies up to") == (above > 0), f"{verb}, with gains of 10^{log10}")


def check_gains(run: Run, said: dict[str, str]) -> None:
    kinds = [kind for kind, name in zip(("gains", "part", "none", "seeds", "all"), ("fwd", "part", "none", "f", "all"),
                                        strict=True) if said.get(name) is not None]  # fmt: skip
    (kind,) = kinds
    {"gains": _check_whole, "part": _check_part, "none": _check_none, "seeds": _check_seeds, "all": _check_all}[kind](
        run, said
    )


def _check_whole(run: Run, said: dict[str, str]) -> None:
    require(not run.has_seeds, "of several seeds medians are said")
    for name, way in (("fwd", "forward"), ("bwd", "backward")):
        require_gain(said[name], largest_of(run.result, way), f"largest gain {way}")
    require_verb(said["verb"], *(largest_of(run.result, way) for way in ("forward", "backward")))


def _check_part(run: Run, said: dict[str, str]) -> None:
    require(not run.has_seeds, "of several seeds medians are said")
    gains = gains_of(run.result, "forward")
    until = int(said["until"])
    require(not any(map(math.isnan, gains[:until])), "a layer before is not known")
    require(all(map(math.isnan, gains[until:])) and until < len(gains), "the mixing of later layers is known")
    require_gain(said["part"], max(gains[:until]), "largest gain forward of these layers")
    require_verb(said["pverb"], max(gains[:until]))
    require(said["dtype"] == run.spec.dtype, "another type")
    require_overflow(run.result, until - 1)


def require_overflow(result: Result, last: int) -> None:
    """The state that leaves this layer, or the mixing of the next, has left the range of its type."""
    known = np.isfinite(result.layers_log10["act_rms_streams"])
    next_is_inf = not np.isfinite(matrices_of(result)[last + 1]).all()
    require(not known[last].all() or next_is_inf, f"nothing overflows at layer {last + 1}")


def _check_none(run: Run, said: dict[str, str]) -> None:
    require(not np.isfinite(matrices_of(run.result)[0]).all(), "the first matrix is known")


def _check_seeds(run: Run, said: dict[str, str]) -> None:
    require(run.has_seeds, "there is one seed")
    low = []
    for name, way in (("f", "forward"), ("b", "backward")):
        largest = [largest_of(result, way) for result in run.alone]
        known = [gain for gain in largest if not math.isnan(gain)]
        require_count(said["seeds"], len(known), "seeds whose gain is known")
        require_count(said["lost"] or "0", len(largest) - len(known), "seeds whose gain is not known")
        for part, level in (("", 0.5), ("5", 0.05), ("95", 0.95)):
            require_gain(said[name + part], percentile(known, level), f"{way}, {level}")
        low.append(percentile(known, 0.05))
    require_verb(said["sverb"], *low)


def _check_all(run: Run, said: dict[str, str]) -> None:
    require_count(said["all"], len(run.alone), "seeds")
    require(all(math.isnan(largest_of(result, "forward")) for result in run.alone), "a seed's gain is known")


# The sentences.


def check_resolution(run: Run, said: dict[str, str]) -> None:
    """Of a second pass, which has no columns and is made once more; `test_findings` compares float32 with float64."""
    spec = run.spec.model_copy(update={"seeds": 1})
    require(said["dtype"] == spec.dtype, "another type")
    require_count(said["roundings"], 5 if spec.dtype == "bfloat16" else 30, "rounding errors")
    disturbed = measure_disturbed_gradient(build_stack(spec), torch.device("cpu"))
    changed = np.abs(disturbed - run.alone[0].layers_log10["grad_rms"])
    require_count(said["changed"], int((changed > math.log10(1.05)).sum()), "layers that change")
    require_count(said["layers"], run.result.depth, "layers")
    require_number(said["most"], float(np.nanmax(changed)), "largest change")


def check_no_path(run: Run, said: dict[str, str]) -> None:
    require(not run.spec.family.skips and not matrices_of(run.result).any(), "something passes by")


def _check_identity(run: Run, norm: bool) -> None:
    require((matrices_of(run.result) == 1).all() and run.result.streams == 1, "something is mixed")
    require((run.spec.block.norm_position == "post") == norm, "a norm rescales the stream, or does not")


def check_one_stream(run: Run, said: dict[str, str]) -> None:
    _check_identity(run, norm=False)


def check_one_stream_post(run: Run, said: dict[str, str]) -> None:
    _check_identity(run, norm=True)


def check_deepnorm(run: Run, said: dict[str, str]) -> None:
    matrices = matrices_of(run.result)
    require(matrices.shape[1] == 1 and (matrices > 1).all(), "the stream is not enlarged")
    require(run.spec.block.norm_position == "post", "no norm follows")


def check_product(run: Run, said: dict[str, str]) -> None:
    """Matrices by their count, and whether they are averaged first."""
    require_count(said["layers"] or "1", run.result.depth, "matrices")
    require((said["averaged"] is not None) == ("h_res_std" in run.result.matrices), "averaged over tokens, or not")
    require(("product" in said["0"]) == (run.result.depth > 1), "one matrix is no product")
    check_gains(run, said)


def check_free(run: Run, said: dict[str, str]) -> None:
    require(run.spec.family.drawn == "entries", "mixing is not free")
    check_product(run, said)


def check_bounded(run: Run, said: dict[str, str]) -> None:
    known = _known(matrices_of(run.result))
    if len(known):
        largest = np.linalg.norm(known, 2, axis=(1, 2)).max()
        require(largest < 1 + (2e-2 if run.spec.maps_coarsely else 1e-5), f"a spectral norm of {largest}")
    check_product(run, said)


def check_unnamed(run: Run, said: dict[str, str]) -> None:
    """Mixing of which no property is said: its family has none."""
    family = run.spec.family
    has_one = family.drawn == "entries" or family.is_doubly_stochastic or family.norm_bounded or family.iterates
    has_one |= family.is_row_stochastic
    require(not has_one, "the mixing has a property that is not said")
    check_product(run, said)


def check_doubly_stochastic(run: Run, said: dict[str, str]) -> None:
    known = _known(matrices_of(run.result))
    coarse = said["rounded"] is not None
    require(not coarse or said["rounded"] == run.spec.connection.mapping_dtype, "another type of the mapping")
    if len(known):
        off = max(abs(known.sum(2) - 1).max(), abs(known.sum(1) - 1).max())
        require(off < (2e-2 if coarse else 1e-5) and known.min() >= 0, f"sums are off by {off}")
    check_product(run, said)


def check_row_stochastic(run: Run, said: dict[str, str]) -> None:
    known = _known(matrices_of(run.result))
    coarse = said["rounded"] is not None
    require(not coarse or said["rounded"] == run.spec.connection.mapping_dtype, "another type of the mapping")
    if len(known):
        off = abs(known.sum(2) - 1).max()
        require(off < (2e-2 if coarse else 1e-5) and known.min() >= 0, f"rows are off by {off}")
    require(run.spec.family.columns == "free", "columns sum to 1 as well")
    check_product(run, said)


def check_orthogonal(run: Run, said: dict[str, str]) -> None:
    """A mean of orthogonal matrices over tokens is no longer than they are; each of static mixing has one length."""
    known = _known(matrices_of(run.result))
    coarse = said["rounded"] is not None
    require(run.spec.family.orthogonal and not run.spec.family.is_identity, "the mixing is not orthogonal")
    require(coarse == run.spec.maps_coarsely, "the mapping's type")
    static = "h_res_std" not in run.result.matrices
    keeps = static and not coarse and run.result.streams > 1
    require((said["keeps"] is not None) == keeps, "of norms that are kept")
    if len(known):
        singular = np.linalg.svd(known, compute_uv=False)
        room = 2e-2 if coarse else 1e-5
        require(singular.max() < 1 + room and (singular.min() > 1 - room or not static), "singular values are not 1")
    check_product(run, said)


def check_signed(run: Run, said: dict[str, str]) -> None:
    known = _known(matrices_of(run.result))
    coarse = said["rounded"] is not None
    family = run.spec.family
    require(family.signed and family.has_unit_sums and coarse == run.spec.maps_coarsely, "another family")
    if len(known):
        off = max(abs(known.sum(2) - 1).max(), abs(known.sum(1) - 1).max())
        require(off < (2e-2 if coarse else 1e-5), f"sums are off by {off}")
        require(np.linalg.norm(known, 2, axis=(1, 2)).max() < 1 + (2e-2 if coarse else 1e-5), "a norm above 1")
    check_product(run, said)


def _known(matrices: Array) -> Array:
    return matrices[np.isfinite(matrices).all((1, 2))]


def check_exp(run: Run, said: dict[str, str]) -> None:
    require(run.spec.connection.sinkhorn_iters == 0, "there are rounds")
    check_product(run, said)


def check_sinkhorn(run: Run, said: dict[str, str]) -> None:
    require_count(said["rounds"], run.spec.connection.sinkhorn_iters, "rounds")
    check_product(run, said)
    if said["least"] is None:
        return
    down = products(matrices_of(run.result)[::-1].transpose(0, 2, 1))
    require_value(said["least"], min(float((product * 10**log).sum(1).min()) for product, log in down), "least sum")


def check_activation(run: Run, said: dict[str, str]) -> None:
    last = int(said["layers"]) - 1
    if run.has_seeds:
        require(said["before"] is None, "the seeds have different inputs")
        require_count(said["seeds"], len(run.alone), "seeds")
        columns = [logs_of(result, "act_rms") for result in run.alone]
        logs = np.array([median_with_lost(columns, layer) for layer in range(run.result.depth)])
    else:
        require_value(said["before"], float(run.result.input["act_rms"]), "before the first layer")
        logs = logs_of(run.result, "act_rms")
    require_number(said["after"], float(logs[last]), f"after layer {last + 1}")
    if said["before"] is not None:
        change = float(logs[last]) - log_of(float(run.result.input["act_rms"]))
        verb = None if abs(change) < math.log10(1.05) else "grow" if change > 0 else "shrink"
        require(said["verb"] == verb, f"they change by 10^{change}")
    require(not np.isfinite(logs[last + 1 :]).any(), "a later layer is known")
    if said["power"] is not None:
        design = np.stack([np.log10(np.arange(2, last + 3)), np.ones(last + 1)], axis=1)
        (slope, offset), *_ = np.linalg.lstsq(design, logs[: last + 1], rcond=None)
        off = np.abs(design @ [slope, offset] - logs[: last + 1]).max()
        require(off < 0.1 * (1 + 1e-6), f"a power of depth is off by {off} decades")
        if said["power"] == "√depth":
            require(0.4 < slope < 0.6, f"the power is {slope}")
        else:
            written = said["power"].removeprefix("depth to the power ")
            require(abs(float(written) - slope) <= 0.06 * slope, f"the power is {slope}")


def _gradient_growths(run: Run) -> list[float]:
    """log10 of the gradient at the first layer over that at the last, of the seeds in which both are known."""
    logs = [logs_of(result, "grad_rms") for result in run.alone]
    return [float(log[0] - log[-1]) for log in logs if np.isfinite(log[-1]) and not np.isnan(log[0])]


def _check_seeds_of_gradient(run: Run, said: dict[str, str], known: int) -> None:
    require((said["seeds"] is not None) == run.has_seeds, "seeds are said, or not")
    if said["seeds"]:
        require_count(said["known"] or said["seeds"], known, "seeds whose gradient is known")
        require_count(said["seeds"], len(run.alone), "seeds")


def check_gradient(run: Run, said: dict[str, str]) -> None:
    growths = _gradient_growths(run)
    _check_seeds_of_gradient(run, said, len(growths))
    growth = percentile(growths, 0.5)
    require((said["change"] == "larger") == (growth > 0), f"it is 10^{growth}")
    require_number(said["times"], abs(growth), "how many times")


def check_gradient_alike(run: Run, said: dict[str, str]) -> None:
    growths = _gradient_growths(run)
    _check_seeds_of_gradient(run, said, len(growths))
    growth = percentile(growths, 0.5)
    require(abs(growth) < math.log10(1.05), f"it is 10^{growth}")


def check_gradient_zero(run: Run, said: dict[str, str]) -> None:
    growths = _gradient_growths(run)
    _check_seeds_of_gradient(run, said, len(growths))
    require(percentile(growths, 0.5) == -math.inf, "it is not zero")


def check_truncation(run: Run, said: dict[str, str]) -> None:
    result, layer = run.result, int(said["layer"]) - 1
    require_count(said["rounds"], run.spec.connection.sinkhorn_iters, "rounds")
    rows, columns = (abs(matrices_of(result).sum(axis) - 1).max(1) for axis in (2, 1))
    off = columns
    if said["token"] is not None:
        off = result.layers["ds_error_tokens"].astype(np.float64)
        require((off[~np.isnan(off)] >= columns[~np.isnan(off)] * (1 - 1e-4) - 1e-6).all(), "below that of the mean")
    require_number(said["off"], log_of(float(off[layer])), "a sum")
    require(off[layer] >= np.nanmax(off) * (1 - 1e-6), "another layer is worse")
    if said["exact"] is not None:
        require(np.nanmax(rows) < 2e-6, f"rows are off by {np.nanmax(rows)}")
    if said["sum"] == "column":
        require(np.nanmax(rows) < 2e-6 or said["token"] is None, "it may be a row of the worst token")


def check_symmetry(run: Run, said: dict[str, str]) -> None:
    result = run.result
    sizes = logs_of(result, "act_rms_streams")
    require(np.ptp(sizes[np.isfinite(sizes).all(1)], axis=1).max(initial=0.0) < 1e-4, "streams differ in size")
    cosines = result.layers["stream_cos"].astype(np.float64)
    require(cosines.min() > 1 - 1e-4, f"the streams' cosine is {cosines.min()}")
    post = result.matrices["h_post"].astype(np.float64)
    require(np.ptp(post, axis=1).max() < 1e-5, "streams are written differently")
    require(abs(matrices_of(result).sum(2) - 1).max() < 1e-5, "rows do not sum to 1")
    family = run.spec.family
    kind = "row-stochastic" if family.columns == "free" else "doubly stochastic"
    wanted = "matrix whose rows sum to 1" if family.signed else f"{kind} matrix"
    require(said["matrices"] == wanted, "other matrices do the same")


def check_frozen(run: Run, said: dict[str, str]) -> None:
    shares = logs_of(run.result, "mixing_grad_share")
    values = 10 ** shares[~np.isnan(shares)]
    require(
        (said["free"] is None) == run.spec.family.signed, "the share at uniform mixing is not known of signed mixing"
    )
    require_value(said["share"], 100 * float(np.median(values)), "the median share in percent")
    if said["free"] is not None:
        require_value(said["free"], 100 / run.spec.streams, "at uniform mixing, in percent")
    require(np.median(values) <= 0.05 / run.spec.streams * (1 + 1e-6), "the logits are not saturated")
    is_by_depth = run.spec.family.by_depth
    require((said["cause"] == "its map") == is_by_depth, "the map alone can let so little through, or cannot")
    require(("for Sinkhorn" in said["0"]) == is_by_depth, "another family's uniform mixing")


def check_activations_leave(run: Run, said: dict[str, str]) -> None:
    layer, logs = int(said["layer"]) - 1, logs_of(run.result, "act_rms")
    lost = ~np.isfinite(run.result.layers["act_rms"]) & (np.isnan(logs) | (logs > 38))
    require(said["dtype"] == run.spec.dtype, "another type")
    require(lost[layer] and not lost[:layer].any(), f"lost at {np.flatnonzero(lost)[:3]}")
    require((said["stay"] is not None) == bool(lost[layer:].all()), "later activations have a value, or have none")


def check_gradients_leave(run: Run, said: dict[str, str]) -> None:
    layer, logs = int(said["layer"]) - 1, logs_of(run.result, "grad_rms")
    lost = ~np.isfinite(run.result.layers["grad_rms"]) & (np.isnan(logs) | (logs > 38))
    require(said["dtype"] == run.spec.dtype, "another type")
    require(lost[layer] and not lost[layer + 1 :].any(), f"lost at {np.flatnonzero(lost)[-3:]}")


def check_activations_small(run: Run, said: dict[str, str]) -> None:
    _require_small(run, "act_rms", int(said["layer"]) - 1, from_above=False)


def check_gradients_small(run: Run, said: dict[str, str]) -> None:
    _require_small(run, "grad_rms", int(said["layer"]) - 1, from_above=True)


def _require_small(run: Run, key: str, layer: int, *, from_above: bool) -> None:
    require(run.spec.dtype != "float64", "nothing is below the range in which it is measured")
    logs = logs_of(run.result, key)
    small = (logs < math.log10(float(np.finfo(np.float32).smallest_subnormal) / 2)) & (logs > -math.inf)
    require(small[layer], "it is not below the range")
    before = small[layer + 1 :] if from_above else small[:layer]
    require(not before.any(), "it is below the range before")


def check_composite_leaves(run: Run, said: dict[str, str]) -> None:
    layer, gains = int(said["layer"]) - 1, np.array(gains_of(run.result, "forward"))
    beyond = (gains > 308.25) | ((gains < -323.3) & np.isfinite(gains))
    require(beyond[layer] and not beyond[:layer].any(), f"beyond at {np.flatnonzero(beyond)[:3]}")
    require(np.isfinite(run.result.layers_log10["composite_gain_fwd"]).all(), "the logarithm ends")


def check_zero(run: Run, said: dict[str, str]) -> None:
    layer, logs = int(said["layer"]) - 1, logs_of(run.result, "act_rms")
    require((logs[layer:] == -math.inf).all(), "they are not zero")
    require(layer == 0 or logs[layer - 1] > -math.inf, "they are zero before")
    require(run.result.input["act_rms"] > 0, "nothing came in")


def _jacobian(run: Run) -> tuple[float, float]:
    found = run.result.jacobian
    assert found is not None
    ends = (float(np.asarray(found.log10[f"jacobian_sigma_{end}"], dtype=np.float64)) for end in ("max", "min"))
    most, least = ends
    require(run.result.jacobian is not None and not least > most, "the least is above the largest")
    return most, least


def check_jacobian(run: Run, said: dict[str, str]) -> None:
    most, least = _jacobian(run)
    require_number(said["most"], most, "largest")
    require_number(said["least"], least, "least")
    converged = run.result.jacobian.converged  # type: ignore[union-attr]
    require(converged.sigma_max and converged.sigma_min == (said["products"] is None), "converged, or not")
    if said["products"]:
        require_count(said["products"], run.result.jacobian.products, "pairs")  # type: ignore[union-attr]


def check_jacobian_singular(run: Run, said: dict[str, str]) -> None:
    found = run.result.jacobian
    assert found is not None
    require_number(said["most"], _jacobian(run)[0], "largest")
    require(found.converged.sigma_max and found.values["jacobian_sigma_min"] == 0, "the least is not zero")


def check_jacobian_unsure(run: Run, said: dict[str, str]) -> None:
    require_number(said["most"], _jacobian(run)[0], "at least")
    require(not run.result.jacobian.converged.sigma_max, "it has converged")  # type: ignore[union-attr]
    require_count(said["products"], run.result.jacobian.products, "pairs")  # type: ignore[union-attr]


def check_jacobian_lost(run: Run, said: dict[str, str]) -> None:
    found = run.result.jacobian
    assert found is not None
    require(found.status and not np.isfinite(np.asarray(found.values["jacobian_sigma_max"], float)), "it has a value")


def check_jacobian_zero(run: Run, said: dict[str, str]) -> None:
    found = run.result.jacobian
    assert found is not None
    require(found.values["jacobian_sigma_max"] == 0, "it is not zero")


def _evenly(run: Run) -> float:
    return math.log({"text": 256, "corpus": 256, "digits": 10}[run.spec.input.kind])


def _require_loss(text: str, value: float, what: str, run: Run) -> None:
    if text == "not a finite number":
        require(not math.isfinite(value), f"{what} is {value}")
        return
    number, _, unit = text.partition(" nats/")
    require(unit == {"text": "byte", "corpus": "byte", "digits": "image"}[run.spec.input.kind], f"{what} of {unit}")
    require_value(number, value, what)


def check_loss(run: Run, said: dict[str, str]) -> None:
    require(not run.result.steps, "it is trained")
    _require_loss(said["before"], run.result.loss, "loss", run)
    require_value(said["evenly"], _evenly(run), "guessing evenly")


def check_loss_trained(run: Run, said: dict[str, str]) -> None:
    _require_loss(said["before"], run.result.loss_untrained, "loss before", run)
    _require_loss(said["after"], run.result.loss, "loss after", run)
    require_count(said["steps"], updates_of(run), "steps")
    require_value(said["evenly"], _evenly(run), "guessing evenly")


def check_loss_lost(run: Run, said: dict[str, str]) -> None:
    require(not math.isfinite(run.result.loss), "it is finite")


def updates_of(run: Run) -> int:
    """Steps that ended in an update."""
    steps = run.result.steps
    return sum(
        bool(np.isfinite(loss) and np.isfinite(norm))
        for loss, norm in zip(steps["step_loss"], steps["step_grad_norm"], strict=True)
    )


def check_stop(run: Run, said: dict[str, str]) -> None:
    done = updates_of(run)
    require_count(said["step"], done + 1, "step")
    require(done < run.spec.train.steps, "it did not stop")
    key = {"loss": "step_loss", "gradient": "step_grad_norm"}[said["what"]]
    flag = run.result.steps_status[key][done]
    require({"overflow": "infinite", "nan": "not a number"}[flag] == said["flag"], f"it is {flag}")
    require(said["what"] == "loss" or done not in run.result.steps_status.get("step_loss", {}), "the loss is lost")


def _course(run: Run, way: str) -> list[float]:
    """log10 of the largest gain over depth at every step, and of the trained stack."""
    logs = run.result.steps_log10[f"step_gain_{'fwd' if way == 'forward' else 'bwd'}"][: updates_of(run)]
    return [float(np.nanmax(row)) for row in logs] + [largest_of(run.result, way)]


def _shares_of(run: Run) -> Array:
    """Shares of the embedding and of each earlier output in what the last layer reads, (L)."""
    row = abs(run.result.matrices["unfolded"][-1, :-1].astype(np.float64))
    return row / row.sum()


def check_only_layer(run: Run, said: dict[str, str]) -> None:
    require(not run.spec.family.has_mixing and run.result.depth == 1, "there are more layers, or mixing")


def check_depth_unknown(run: Run, said: dict[str, str]) -> None:
    require(said["dtype"] == run.spec.dtype, "another type")
    require(not np.isfinite(_shares_of(run)).all(), "they are known")


def check_depth(run: Run, said: dict[str, str]) -> None:
    shares = _shares_of(run)
    require(not run.spec.family.has_mixing, "there is mixing")
    require_count(said["layers"], run.result.depth, "layers")
    require_count(said["outputs"], run.result.depth - 1, "outputs")
    require_number(said["even"], log_of(100 / len(shares)), "an even share")
    is_even = shares.max() - shares.min() < 1e-4 * shares.max()
    require(is_even == (said["share"] is None), "weights are the same, or are not")
    if said["share"] is not None:
        require_count(said["source"] or "0", int(shares.argmax()), "the source of the largest share")
        require_number(said["share"], log_of(100 * shares.max()), "the largest share")


COURSE = (
    rf"(?:stays at ×(?P<{{0}}stays>{DIGITS})|ends where it began, at ×(?P<{{0}}ends>{DIGITS})"
    rf"|(?P<{{0}}way>grows|falls) from ×(?P<{{0}}from>{DIGITS}) to ×(?P<{{0}}to>{DIGITS}))"
    rf"(?: \(peak ×(?P<{{0}}peak>{DIGITS}) at step (?P<{{0}}step>\d+)\))?"
)


def check_training(run: Run, said: dict[str, str]) -> None:
    require_count(said["steps"], updates_of(run), "steps")
    same = math.log10(1.01) * (1 + 1e-3)
    for name, way in (("f", "forward"), ("b", "backward")):
        course = _course(run, way)
        first, last = course[0], course[-1]
        if said[f"{name}stays"]:
            require(max(course) - min(course) < same, f"{way} it does not stay")
            require_gain(said[f"{name}stays"], last, way)
        elif said[f"{name}ends"]:
            require(abs(first - last) < same, f"{way} it ends elsewhere")
            require_gain(said[f"{name}ends"], last, way)
        else:
            require((said[f"{name}way"] == "grows") == (last > first), f"{way} it does not")
            require_gain(said[f"{name}from"], first, f"{way}, before")
            require_gain(said[f"{name}to"], last, f"{way}, after")
        if said[f"{name}peak"]:
            require_gain(said[f"{name}peak"], max(course), f"{way}, peak")
            require_count(said[f"{name}step"], int(np.argmax(course)) + 1, f"{way}, step of the peak")
        else:
            require(max(course) < max(first, last) + same, f"{way} there is a peak between")


def check_training_lost(run: Run, said: dict[str, str]) -> None:
    require_count(said["steps"], updates_of(run), "steps")
    require(math.isnan(largest_of(run.result, "forward")), "the gain is known")
    require(said["dtype"] == run.spec.dtype, "another type")
    for name, way in (("fwd", "forward"), ("bwd", "backward")):
        require_gain(said[name], _course(run, way)[0], way)


def check_dominant(run: Run, said: dict[str, str]) -> None:
    layer, stream = int(said["layer"]) - 1, int(said["stream"]) - 1
    logs = logs_of(run.result, "act_rms_streams")
    known = np.flatnonzero(~np.isnan(logs).any(1) & np.isfinite(logs).any(1))
    require(layer == known[-1], f"the last layer that is known is {known[-1] + 1}")
    squares = 100.0 ** (logs[layer] - logs[layer].max())
    share, even = squares[stream] / squares.sum(), 1 / run.result.streams
    require(squares.argmax() == stream, "another stream is larger")
    require(share >= (1 + even) / 2 * (1 - 1e-5), f"it holds {share}")
    require_value(said["share"], 100 * share, "its share")
    require_value(said["even"], 100 * even, "an even share")


def _read_shares(run: Run) -> Array:
    """Largest share of each stream in the read weights over layers (n)."""
    matrices = run.result.matrices
    key = "h_read" if "h_read" in matrices else "h_pre"
    mean = matrices[key].astype(np.float64)
    spread = matrices.get(f"{key}_std", np.zeros_like(mean)).astype(np.float64)
    sizes = np.sqrt(mean**2 + spread**2)
    sizes = sizes.sum(1) if key == "h_read" else sizes
    shares = [row / row.sum() for row in sizes if np.isfinite(row).all() and row.any()]
    require(len(shares) == run.result.depth, "of some layer it is not known what it reads")
    largest: Array = np.max(shares, axis=0)
    return largest


def _streams(text: str) -> list[int]:
    return [int(number) - 1 for number in re.findall(r"\d+", text)]


def check_unread(run: Run, said: dict[str, str]) -> None:
    shares = _read_shares(run)
    require(_streams(said["streams"]) == list(np.flatnonzero(shares < 0.1 / run.result.streams)), "other streams")
    require((shares[_streams(said["streams"])] == 0).all(), "they are read a little")


def check_hardly_read(run: Run, said: dict[str, str]) -> None:
    shares = _read_shares(run)
    few = np.flatnonzero(shares < 0.1 / run.result.streams)
    require(_streams(said["streams"]) == list(few), "other streams")
    require_value(said["most"], 100 * float(shares[few].max()), "most of it")
    require_value(said["even"], 100 / run.result.streams, "an even share")
    require((said["rms"] is not None) == ("h_res_std" in run.result.matrices), "over tokens, or not")


def check_uniform(run: Run, said: dict[str, str]) -> None:
    found, n, first = products(matrices_of(run.result)), run.result.streams, int(said["layer"]) - 1
    require_count(said["n"], n, "streams")
    product, log10 = found[-1]
    off = abs(n * product * 10**log10 - 1).max()
    require(off < 0.05, f"the product is off by {off}")
    if off > 1e-12:
        require_value(said["off"], 100 * off, "the deviation in percent")
    else:
        require(parse(said["off"]) < 1e-9, "the deviation is rounding")
    centre = np.eye(n) - 1 / n
    kept = [np.linalg.norm(centre @ product @ centre, 2) * 10**log for product, log in found]
    require(max(kept[first:]) < 0.01 * (1 + 1e-4) + 1e-6, f"{max(kept[first:])} of a difference is kept")
    require(first == 0 or kept[first - 1] > 0.01 * (1 - 1e-4) - 1e-6, "it is so from an earlier layer on")
    require((said["averaged"] is not None) == ("h_res_std" in run.result.matrices), "averaged over tokens, or not")


def check_unused(run: Run, said: dict[str, str]) -> None:
    shares = run.result.layers["kernel_shares"].astype(np.float64)
    used = np.array([math.exp(-sum(p * math.log(p) for p in layer if p > 0)) for layer in shares])
    require_count(said["n"], run.result.streams, "streams")
    require_value(said["used"], used.max(), "the largest effective number")
    require(used.max() < 1 + (run.result.streams - 1) / 4 + 1e-6, f"{used.max()} are not few")
    if said["layer"] is None:
        require(np.ptp(used) < 0.05 + 1e-6, f"layers differ by {np.ptp(used)}")
    else:
        require(used[int(said["layer"]) - 1] == used.max(), "another layer uses more")
    require((said["averaged"] is not None) == ("h_res_std" in run.result.matrices), "averaged over tokens, or not")


def check_unlearned(run: Run, said: dict[str, str]) -> None:
    result = run.result
    require_count(said["steps"], updates_of(run), "steps")
    require(result.loss < result.loss_untrained, "the loss does not fall")
    require_value(said["before"], result.loss_untrained, "before")
    require_value(said["after"], result.loss, "after")
    moved = abs(matrices_of(result) - result.kept["step_h_res"][0].astype(np.float64)).max()
    require(moved < 1e-3, f"it moves by {moved}")
    require(moved == 0 or math.isclose(parse(said["moved"]), moved, rel_tol=0.06), f"{said['moved']}, not {moved}")


def parse(text: str) -> float:
    mantissa, _, power = text.partition("×10")
    return float(mantissa) * 10.0 ** int("".join(POWERS[sign] for sign in power) or 0)


def check_mapping(run: Run, said: dict[str, str]) -> None:
    layers = run.result.layers
    own = layers.get("ds_error_tokens", layers["ds_error"]).astype(np.float64).max()
    require(said["dtype"] == run.spec.connection.mapping_dtype, "another type")
    require_value(said["off"], float(own), "off by")
    require_value(said["wide"], float(layers["ds_error_float32"].astype(np.float64).max()), "in float32")
    if "ds_error_tokens" not in layers:
        matrices = matrices_of(run.result)
        sums = max(abs(matrices.sum(axis) - 1).max() for axis in (1, 2))
        require(math.isclose(sums, own, rel_tol=1e-3, abs_tol=2e-6), f"sums are off by {sums}")


ROUNDED = r"(?: \(up to rounding to (?P<rounded>\w+)\))?"
AVERAGED = r"(?P<averaged>, averaged over tokens,)?"


def _name_product(kind: str, how: str = "") -> str:
    return rf"The (?:only {kind} matrix|product of up to (?P<layers>\d+) {kind} matrices){how}{AVERAGED}"


OVER_SEEDS = r"(?: in the median of (?:(?P<known>\d+) of )?(?P<seeds>\d+) seeds)?"
POWER = rf"(?:, like (?P<power>√depth|depth to the power {NUMBER}))?"
LOSS = rf"{MINUS}?{NUMBER} nats/(?:byte|image)|not a finite number"


# What an edit does, as a sentence says it: by `do`, words behind the target.
DEEDS = {
    "zero": r"is (?:cut|set to 0)",
    "identity": r"is replaced by the identity",
    "mean": r"is replaced by its mean over tokens",
    "uniform": r"is (?:replaced by the mean of all streams|made uniform)",
    "scale": rf"is multiplied by (?P<value>{MINUS}?{NUMBER})",
    "set": r"is set to given values",
    "swap": r"is exchanged with (?:stream|row|entry|that of source) (?P<other>\d+)",
    "noise": rf"gets noise of (?P<value>{NUMBER})(?: times its rms)?",
    "freeze": r"is as in the run without edits",
    "restore": r"is restored",
    "top_k": r"keeps its (?P<k>\d+) largest entries(?: in each row)?",
}
TARGETS = {
    "stream": r"Stream (?P<index>\d+)",
    "state": r"The state of all streams",
    "branch": r"The branch's output",
    "h_pre": r"(?:H_pre|(?:Row|Entry) (?P<index>\d+) of H_pre)",
    "h_post": r"(?:H_post|Entry (?P<index>\d+) of H_post)",
    "h_res": r"(?:H_res|Row (?P<index>\d+) of H_res)",
    "source": r"(?:The weighting over depth|The weight of (?:(?P<first_source>the embedding)|source (?P<index>\d+)))",
}


def check_effect(run: Run, said: dict[str, str]) -> None:
    _require_edits(run.spec, said["what"])
    result, first = run.alone[0], min(edit.layers[0] for edit in run.spec.edits)
    effects = logs_of(result, "effect_state")
    behind, end = float(effects[first]), float(effects[-1])
    if said["rounding"] is not None:
        least = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 0.02}[run.spec.dtype]
        require(max(behind, end) <= math.log10(least), "there is more than rounding")
    elif said["lost"] is not None:
        require(math.isnan(behind) or math.isnan(end), "both are known")
    elif said["same"] is not None:
        require(end == -math.inf, "the last state differs")
    elif said["only"] is not None:
        require(first == len(effects) - 1, "there are layers behind it")
        require_number(said["only"], end + 2, "the last state")
    elif said["nothing"] is not None:
        require(behind == -math.inf, "something changes")
        require_count(said["nothing"], first + 1, "layer")
        require_number(said["later"], end + 2, "the last state")
    else:
        require_count(said["layer"], first + 1, "layer")
        require_number(said["behind"], behind + 2, "the state behind the edit")
        if said["way"] is None:
            require(abs(end - behind) < 0.05 + SLACK, "it changes to the end")
        else:
            require((said["way"] == "shrinks") == (end < behind), "the other way")
            require_number(said["end"], end + 2, "the last state")
    if said["loss"] is not None:
        require_fixed(said["loss"], result.loss, "loss")
        plain = parse_spec({key: value for key, value in run.spec.canonical().items() if key != "edits"})
        base = Result(keeps_frames=False)
        for frame in compute_run(plain.model_copy(update={"seeds": 1})):
            base.add(frame)
        require_fixed(said["base"], base.loss, "loss without edits")
    if said["kl"] is not None:
        require_value(said["kl"], result.output_kl, "divergence")


PLACE = r"at layers? (?P<first>\d+)(?: to (?P<last>\d+))?"


def _require_edits(spec: RunSpec, what: str) -> None:
    """The first two edits are named, in their order, and the others counted."""
    more = len(spec.edits) - 2
    between = " and " if more == 0 else ", "
    left = what
    for place, edit in enumerate(spec.edits[:2]):
        match = re.match(
            f"(?i:{TARGETS[edit.what]}) {DEEDS[edit.do]} {PLACE}", left.removeprefix(between if place else "")
        )
        require(match, f"{what}: {edit}")
        assert match is not None
        _require_edit(edit, match.groupdict())
        left = match.string[match.end() :]
    require(left == ("" if more <= 0 else f" and {more} more edit{'s' * (more > 1)}"), f"{left} at the end of {what}")


def _require_edit(edit: EditSpec, found: dict[str, str | None]) -> None:
    require_count(str(found["first"]), edit.layers[0] + 1, "first layer")
    require_count(str(found["last"] or found["first"]), edit.layers[1] + 1, "last layer")
    if found.get("first_source"):
        found["index"] = "1"
    for name, value in (("index", edit.index), ("other", edit.other)):
        require(found.get(name) == (None if value is None else str(value + 1)), name)
    if edit.k is not None:
        require_count(str(found["k"]), edit.k, "k")
    if edit.value is not None:
        require_value(str(found["value"]), edit.value, "value")


def check_edited_stream(run: Run, said: dict[str, str]) -> None:
    require(run.result.streams == 1 and any(edit.what != "branch" for edit in run.spec.edits), "nothing is edited")


@dataclass(frozen=True)
class Template:
    """A kind of sentence; `is_of_all_seeds` where it speaks of all seeds and not of the first alone."""

    key: str
    pattern: str
    check: Callable[[Run, dict[str, str]], None]
    is_of_all_seeds: bool = False
    compiled: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "compiled", re.compile(self.pattern))


EFFECTS = (
    r"(?P<rounding>states are those without edits, up to rounding)",
    r"(?P<lost>the states cannot be compared with those without edits: some are zero, or leave the range of their "
    r"type)",
    r"(?P<same>the last state is the same as without edits)",
    rf"the last state differs from that without edits by (?P<only>{NUMBER}) %",
    rf"nothing changes after layer (?P<nothing>\d+); the last state differs by (?P<later>{NUMBER}) %",
    rf"the state after layer (?P<layer>\d+) differs from that without edits by (?P<behind>{NUMBER}) %"
    rf"(?:, and as much at the end|; the difference (?P<way>shrinks|grows) to (?P<end>{NUMBER}) % at the end)",
)
COSTS = (
    rf"(?:\. The loss is (?P<loss>{MINUS}?{NUMBER}) instead of (?P<base>{MINUS}?{NUMBER})"
    rf"(?:, the output's KL divergence (?P<kl>{NUMBER}) nats)?)?"
)
TEMPLATES = (
    Template("effect", rf"(?P<what>.+?): (?:{'|'.join(EFFECTS)}){COSTS}\.", check_effect),
    Template("connection", r"One stream: nothing is mixed\. Edits change what passes\.", check_edited_stream, True),
    Template("connection", r"There is no skip path: each layer replaces the signal\.", check_no_path, True),
    Template("connection", r"One stream passes through unchanged: nothing is mixed, so its gain is 1 at every depth\.",
             check_one_stream, True),
    Template("connection", r"One stream: nothing is mixed, so its gain is 1 at every depth\. A norm rescales it after "
             r"each addition\.", check_one_stream_post, True),
    Template("connection", r"One stream: nothing is mixed\. DeepNorm scales it up before each addition, and a norm "
             r"follows\.", check_deepnorm, True),
    Template("connection", rf"{_name_product('unconstrained mixing')} {GAIN}\.", check_free, True),
    Template("connection", rf"{_name_product('spectrally bounded mixing')} {GAIN}\.", check_bounded, True),
    Template("connection", rf"{_name_product('orthogonal mixing', ROUNDED)} {GAIN}"
             r"(?P<keeps>; it keeps the norm of all streams together)?\.", check_orthogonal, True),
    Template("connection", _name_product("signed mixing", " with row and column sums of 1" + ROUNDED)
             + rf" {GAIN}\.", check_signed, True),
    Template("connection", rf"{_name_product('mixing')} {GAIN}\.", check_unnamed, True),
    Template("connection", _name_product("doubly stochastic mixing", ROUNDED)
             + rf" {GAIN}\.", check_doubly_stochastic, True),
    Template("connection", _name_product("row-stochastic mixing", ROUNDED)
             + rf" {GAIN}\.", check_row_stochastic, True),
    Template("connection", _name_product("mixing", r" \(exp without Sinkhorn\)") + rf" {GAIN}\.", check_exp, True),
    Template("connection", _name_product("mixing", r" \((?P<rounds>\d+) Sinkhorn rounds?\)") + rf" {GAIN}"
             rf"(?:; its smallest column sum is (?P<least>{MINUS}?{NUMBER}))?\.", check_sinkhorn, True),
    Template("connection", r"The only layer reads the embedding alone\.", check_only_layer),
    Template("connection", r"The weights over depth are unknown, as (?P<dtype>\w+) overflows\.", check_depth_unknown),
    Template("connection", rf"Layer (?P<layers>\d+) reads the embedding and (?P<outputs>\d+) outputs? with the same "
             rf"weight: (?P<even>{NUMBER}) % each\.", check_depth),
    Template("connection", rf"Layer (?P<layers>\d+) reads the embedding and (?P<outputs>\d+) outputs?; "
             rf"(?:the embedding|the output of layer (?P<source>\d+)) has the largest share, (?P<share>{NUMBER}) %, "
             rf"where an even share is (?P<even>{NUMBER}) %\.", check_depth),
    Template("activation", rf"Activations (?P<verb>grow|shrink) from (?P<before>{NUMBER}) at the input "
             rf"to (?P<after>{NUMBER}) over (?P<layers>\d+) layers?{POWER}\.", check_activation, True),
    Template("activation", rf"Activations change by less than 5 %: (?P<before>{NUMBER}) before, (?P<after>{NUMBER}) "
             r"after (?P<layers>\d+) layers?\.", check_activation, True),
    Template("activation", rf"Activations reach (?P<after>{NUMBER}) after (?P<layers>\d+) layers?{OVER_SEEDS}{POWER}\.",
             check_activation, True),
    Template("gradient", rf"The gradient is (?P<times>{NUMBER}) times (?P<change>larger|smaller) at the first layer "
             rf"than at the last{OVER_SEEDS}\.", check_gradient, True),
    Template("gradient", rf"The gradient at the first layer is within 5 % of that at the last{OVER_SEEDS}\.",
             check_gradient_alike, True),
    Template("gradient", rf"The gradient is zero at the first layer{OVER_SEEDS}\.", check_gradient_zero, True),
    Template("truncation", rf"After (?P<rounds>\d+) Sinkhorn rounds?, a (?P<sum>column|row or column) sum"
             rf"(?P<token> of the worst token)? is off by (?P<off>{NUMBER}) at layer (?P<layer>\d+)"
             r"(?P<exact>; rows are exact, so only the backward gain is affected)?\.", check_truncation),
    Template("symmetry", r"All streams stay identical, so H_res gets no gradient: any (?P<matrices>doubly stochastic "
             r"matrix|row-stochastic matrix|matrix whose rows sum to 1) would do the same\.", check_symmetry),
    Template("frozen", r"H_res barely learns here: (?P<cause>saturation|its map) lets through "
             rf"(?P<share>{NUMBER}) % of its gradient in the median layer"
             rf"(?: \((?P<free>{NUMBER}) % (?:for Sinkhorn )?at uniform mixing\))?\.", check_frozen),
    Template("limits", r"Activations leave the range of (?P<dtype>\w+) at layer (?P<layer>\d+)"
             r"(?P<stay> and have no value from there on)?\.", check_activations_leave),
    Template("limits", r"Gradients leave the range of (?P<dtype>\w+) at layer (?P<layer>\d+), counting down from the "
             r"last\.", check_gradients_leave),
    Template("limits", r"Activations fall below the range of \w+ at layer (?P<layer>\d+)\.", check_activations_small),
    Template("limits", r"Gradients fall below the range of \w+ at layer (?P<layer>\d+), counting down from the last\.",
             check_gradients_small),
    Template("limits", r"The composite gain leaves the range of float64 at layer (?P<layer>\d+); its logarithm is "
             r"still known\.", check_composite_leaves),
    Template("resolution", rf"(?P<dtype>\w+) does not resolve the gradient at (?P<changed>\d+) of (?P<layers>\d+) "
             rf"layers?: changing every state by (?P<roundings>\d+) rounding errors changes it by 5 % or more, at most "
             rf"by a factor of (?P<most>{NUMBER})\.", check_resolution),
    Template("zero", r"Activations are zero from layer (?P<layer>\d+) on\.", check_zero),
    Template("jacobian", rf"The Jacobian's singular values range from (?P<least>{NUMBER}) to (?P<most>{NUMBER})\.",
             check_jacobian),
    Template("jacobian", rf"The Jacobian's largest singular value is (?P<most>{NUMBER}); the smallest, below "
             rf"(?P<least>{NUMBER}), has not converged after (?P<products>\d+) pairs? of products\.", check_jacobian),
    Template("jacobian", rf"The Jacobian's largest singular value is (?P<most>{NUMBER}), its smallest is zero\.",
             check_jacobian_singular),
    Template("jacobian", rf"The Jacobian's singular values have not converged after (?P<products>\d+) pairs? of "
             rf"products: the largest is at least (?P<most>{NUMBER})\.", check_jacobian_unsure),
    Template("jacobian", r"The Jacobian leaves the range of \w+, so it has no singular values\.", check_jacobian_lost),
    Template("jacobian", r"The Jacobian is zero: no change of the input reaches the output\.", check_jacobian_zero),
    Template("loss", r"The loss is not a finite number\.", check_loss_lost),
    Template("loss", rf"Untrained loss (?P<before>{LOSS}) \(uniform guess: (?P<evenly>{NUMBER})\)\.", check_loss),
    Template("loss", rf"Loss (?P<before>{LOSS}) before training, (?P<after>{LOSS}) after (?P<steps>\d+) steps? "
             rf"\(uniform guess: (?P<evenly>{NUMBER})\)\.", check_loss_trained),
    Template("stop", r"Training stopped at step (?P<step>\d+): the (?P<what>loss|gradient) is "
             r"(?P<flag>infinite|not a number)\.", check_stop, True),
    Template("training", rf"Over (?P<steps>\d+) training steps?, the largest gain {COURSE.format('f')} forward and "
             rf"{COURSE.format('b')} backward\.", check_training, True),
    Template("training", rf"After (?P<steps>\d+) training steps? (?P<dtype>\w+) overflows, and the largest gain is "
             rf"unknown; before, it was ×(?P<fwd>{DIGITS}) forward and ×(?P<bwd>{DIGITS}) backward\.",
             check_training_lost, True),
    Template("dominant", rf"Stream (?P<stream>\d+) dominates: at layer (?P<layer>\d+) it holds (?P<share>{NUMBER}) % "
             rf"of the squared magnitude of all streams \(even share: (?P<even>{NUMBER}) %\)\.", check_dominant),
    Template("ignored", r"No layer reads (?P<streams>streams? [\d, and]+)\.", check_unread),
    Template("ignored", rf"Layers hardly read (?P<streams>streams? [\d, and]+): at most (?P<most>{NUMBER}) % of any "
             rf"layer's read weights(?P<rms>, in root mean square over tokens)? \(even share: (?P<even>{NUMBER}) %\)\.",
             check_hardly_read),
    Template("uniform", rf"Mixing becomes uniform: every entry of the product of all H_res"
             rf"(?P<averaged>, averaged over tokens,)? is within (?P<off>{NUMBER}) % of 1/(?P<n>\d+), and from layer "
             r"(?P<layer>\d+) on, mixing alone keeps less than 1 % of any initial difference between streams\.",
             check_uniform),
    Template("unused", rf"The mixing alone(?P<averaged>, averaged over tokens,)? uses at most (?P<used>{NUMBER}) of "
             r"(?P<n>\d+) streams to carry outputs to later layers \(effective number(?:, largest at layer "
             r"(?P<layer>\d+))?\)\.", check_unused),
    Template("unlearned", rf"Mixing has not learned: in (?P<steps>\d+) steps? the loss falls from "
             rf"(?P<before>{MINUS}?{NUMBER}) to (?P<after>{MINUS}?{NUMBER}), but no entry of H_res"
             rf"(?: \(averaged over tokens\))? moves by more than (?P<moved>{NUMBER})\.", check_unlearned),
    Template("mapping", rf"Computed in (?P<dtype>\w+), a row or column sum of H_res is off by (?P<off>{NUMBER}) "
             rf"\(float32: (?P<wide>{NUMBER})\)\.", check_mapping),
)  # fmt: skip


def read_sentence(run: Run, key: str, text: str) -> Template:
    """The template of a sentence whose claim and numbers hold.

    Raises
    ------
    FalseSentence
        Where no template fits, or the columns say something else.
    """
    start = f"Seed {run.spec.seed}: "
    is_of_first, plain = text.startswith(start), text.removeprefix(start)
    for template in TEMPLATES:
        if template.key == key and (match := template.compiled.fullmatch(plain)):
            wanted = run.has_seeds and not template.is_of_all_seeds
            require(is_of_first == wanted, f"it names the first seed, or does not: {text}")
            try:
                template.check(run, _Said(match.groupdict() | {"0": plain}))
            except IndexError as fault:
                raise FalseSentence(f"it names what is not there: {text}") from fault
            return template
    raise FalseSentence(f"no template of {key} fits: {text}")


class _Said(dict[str, str]):
    """Groups by name; None where a template has no such group."""

    def __missing__(self, key: str) -> None:
        return None


def read_headline(run: Run, text: str) -> None:
    """The headline is the largest gain forward, of every run, and next to it that backward; or why there is none."""
    if part := re.fullmatch(rf"largest share ({NUMBER}) %(?: \(seed (\d+)\))?", text):
        require(not run.spec.family.has_mixing, text)
        require(part[2] == (str(run.spec.seed) if run.has_seeds else None), "another seed")
        require_number(part[1], log_of(100 * _shares_of(run).max()), "the largest share")
    elif text == "weights over depth unknown":
        require(not np.isfinite(_shares_of(run)).all(), "they are known")
    elif text == "no skip path":
        require(not run.spec.family.skips, text)
    elif text == "gain ×1 (by design)":
        sums = [abs(_known(matrices_of(run.result)).sum(axis) - 1) for axis in (1, 2)]
        off = max(side.max(initial=0.0) for side in sums)
        require(off < 1e-5, f"sums are off by {off}")
    elif text == "gain unknown":
        require(all(math.isnan(largest_of(result, "forward")) for result in run.alone), "a gain is known")
        require(run.has_seeds or math.isnan(gains_of(run.result, "forward")[0]), "a gain is known")
    elif part := re.fullmatch(rf"gain ×({DIGITS}) within (\d+) layers?", text):
        gains, until = gains_of(run.result, "forward"), int(part[2])
        require(not run.has_seeds and math.isnan(largest_of(run.result, "forward")), "the gain is known")
        require(not any(map(math.isnan, gains[:until])) and math.isnan(gains[until]), "other layers")
        require_gain(part[1], max(gains[:until]), "forward")
    else:
        of_seeds = r"(?: \(median of (?:(\d+) of )?(\d+) seeds\))?"
        found = re.fullmatch(rf"gain ×({DIGITS}), backward ×({DIGITS}){of_seeds}", text)
        require(found, f"no template of a headline fits: {text}")
        assert found is not None
        *numbers, known, seeds = found.groups()
        require_count(seeds or "1", len(run.alone), "seeds")
        for number, way in zip(numbers, ("forward", "backward"), strict=True):
            largest = [gain for result in run.alone if not math.isnan(gain := largest_of(result, way))]
            require_count(known or seeds or "1", len(largest), "seeds whose gain is known")
            require_gain(number, percentile(largest, 0.5), way)
