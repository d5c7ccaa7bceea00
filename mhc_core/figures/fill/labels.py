"""Words on a figure: labels at the ends of lines and at matrices, and where a curve is lost.

`static/js/data/labels.js` says the same.
"""

from itertools import pairwise
from typing import Any

from mhc_core.figures.fill.numbers import say_status

GAP = 0.085  # least distance of two labels, in heights of the plot
SAME = 0.005  # places that close are one: their lines are drawn over each other
HIGH = 0.8  # above this there is no room for a label
Annotation = dict[str, Any]


def _order(places: list[float]) -> list[int]:
    """Indexes of places from the lowest to the highest; of those that are one, the first is the highest."""
    rising = sorted(range(len(places)), key=lambda index: places[index])
    bases = list(places)
    for below, index in pairwise(rising):
        if places[index] - bases[below] < SAME:
            bases[index] = bases[below]
    return sorted(rising, key=lambda index: (bases[index], -index))


def spread(places: list[float], gap: float = GAP) -> list[float]:
    """Move places between 0 and 1 apart until neighbours keep the gap, in their order."""
    order = _order(places)
    moved = list(places)
    floor = 0.0
    for index in order:
        moved[index] = max(moved[index], floor)
        floor = moved[index] + gap
    ceiling = 1.0
    for index in reversed(order):
        moved[index] = min(moved[index], ceiling)
        ceiling = moved[index] - gap
    return moved


def end_labels(ends: list[dict[str, Any]], narrow: bool) -> list[Annotation]:
    """A label right of every line's end, none over another. An end is {place, text, color, axis}."""
    places = spread([end["place"] for end in ends])
    return [
        {
            "xref": "x domain",
            "x": 1,
            "xanchor": "left",
            "xshift": 6,
            "yref": "y domain",
            "y": place,
            "yanchor": "middle",
            "showarrow": False,
            "text": _shorten(end["text"]) if narrow else end["text"],
            "font": {"color": end["color"], "size": 12},
        }
        for end, place in zip(ends, places, strict=True)
    ]


def _shorten(text: str) -> str:
    """`B` for `B HC`, `B nan` for `B HC: nan`."""
    name, _, what = text.partition(": ")
    return " ".join([name.split(" ")[0], what]).strip()


def find_lost(
    drawn: list[float | None], status: dict[int, str], unit: str = "layer", numbers: list[int] | None = None
) -> dict[str, Any] | None:
    """Where a curve is lost for want of a number: the point next to the loss, whether it ends there, what happened.

    `unit` is what the points are, and `numbers` how they are counted; without them from 1.
    """
    counted = numbers or range(1, len(drawn) + 1)
    lost = sorted(place for place in status if place < len(drawn) and drawn[place] is None)
    if not lost:
        return None
    first = lost[0]
    known = [index for index, value in enumerate(drawn) if value is not None]
    if not known:
        return {"point": None, "ends": True, "text": say_status(status[first])}
    if first > known[0]:
        point = max(index for index in known if index < first)
        return {"point": point, "ends": True, "text": f"{say_status(status[first])} at {unit} {counted[first]}"}
    last = max(index for index in lost if index < known[0])
    return {"point": known[0], "ends": False, "text": f"{say_status(status[last])} up to {unit} {counted[last]}"}


def lost_labels(losses: list[dict[str, Any]], span: tuple[float, float], narrow: bool) -> list[Annotation]:
    """A cross at each point next to a loss, with what happened, none over another.

    A loss is {point, x, share, text, middle, color}: `x` is where the point lies on the axis, `share` its height in the
    plot, `middle` the point in the middle of it; `span` is that of the axis.
    """
    is_right = [loss["point"] > loss["middle"] for loss in losses]
    # Left of the cross the curve comes from below, so that a label to the right of a high one stands below it.
    centres = [
        loss["share"] + (-GAP if loss["share"] > HIGH and not right else GAP) / 2
        for loss, right in zip(losses, is_right, strict=True)
    ]
    texts = [_shorten(loss["text"]) if narrow else loss["text"] for loss in losses]
    return [
        {
            "xref": "x",
            "x": loss["x"],
            "xanchor": "right" if right else "left",
            "yref": "y",
            "y": span[0] + place * (span[1] - span[0]),
            "yanchor": "middle",
            "showarrow": False,
            "text": f"{text} ✕" if right else f"✕ {text}",
            "font": {"color": loss["color"], "size": 12},
        }
        for loss, right, place, text in zip(losses, is_right, spread(centres), texts, strict=True)
    ]


def cell_label(text: str, x_id: str, y_id: str, color: str) -> Annotation:
    """A run's label above its matrix."""
    return {
        "xref": f"{x_id} domain",
        "x": 0,
        "xanchor": "left",
        "yref": f"{y_id} domain",
        "y": 1,
        "yanchor": "bottom",
        "yshift": 3,
        "showarrow": False,
        "text": text,
        "font": {"color": color, "size": 12},
    }


def cell_note(text: str, x_id: str, y_id: str, color: str, ground: str) -> Annotation:
    """A remark on a matrix, at the foot of it, whatever the colours there are."""
    return {
        "xref": f"{x_id} domain",
        "x": 0.5,
        "xanchor": "center",
        "yref": f"{y_id} domain",
        "y": 0.04,
        "yanchor": "bottom",
        "showarrow": False,
        "bgcolor": ground,
        "borderpad": 3,
        "text": text,
        "font": {"color": color, "size": 12},
    }


def format_status(status: str) -> str:
    """Why there is no number, where the word alone says too little."""
    return {"constant": "constant over samples"}.get(status, say_status(status))


def format_rows(lost: list[int], last_known: int) -> str:
    """Which layers of a matrix have no numbers, in their order; `last_known` is the last one that has, -1 for none."""
    first, last = lost[0] + 1, lost[-1] + 1
    if last_known < lost[-1]:
        return f"from layer {first} on" if last_known < lost[0] else f"in {len(lost)} layers from {first} on"
    if last - first + 1 > len(lost):
        return f"in {len(lost)} of the layers {first}–{last}"
    if first == 1 and last > 1:
        return f"up to layer {last}"
    return f"at layer {first}" if first == last else f"in layers {first}–{last}"


def foot_note(text: str, color: str, ground: str) -> Annotation:
    """A sentence at the foot of a figure that has something to show beside it."""
    foot = {"x": 0.5, "y": 0, "xanchor": "center", "yanchor": "bottom", "yshift": 4}
    look = {"bgcolor": ground, "borderpad": 3, "font": {"color": color, "size": 12}}
    return {"xref": "paper", "yref": "paper", **foot, "showarrow": False, "text": text, **look}


def note(text: str, color: str) -> Annotation:
    """A sentence in the middle of an empty figure."""
    middle = {"x": 0.5, "y": 0.5, "xanchor": "center", "yanchor": "middle"}
    return {
        "xref": "paper",
        "yref": "paper",
        **middle,
        "showarrow": False,
        "text": text,
        "font": {"color": color},
    }
