"""What both servers are asked once the runs are there: figures, descriptions, refusals, what a snapshot holds."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.contract.checkouts import Question
from tests.contract.specs import COMPARISONS, SPECS

API = "/api/v1"
THEMES = ("light", "dark")
NDJSON = {"Accept": "application/x-ndjson"}

Views = Sequence[tuple[str, str]]  # panel and view, by their keys
Ids = Mapping[str, str]  # name of a spec -> run id

SHARED = {"seed": 5, "width": 16, "input": {"batch": 1, "tokens": 8}, "block": {"kind": "mlp", "mlp_ratio": 2}}
SWEEP = {
    "spec": {**SHARED, "depth": 3, "connection": {"kind": "hc"}},
    "x": {"field": "depth", "values": [2, 3, 5]},
    "y": {"field": "connection.streams", "values": [2, 4]},
}
MAP_STATE = "v=1&runs=hc&depth=3&width=16&map=A&map.x=depth,2,3,5&map.y=connection.streams,2,4&map.metric=act_rms"

# Views to be kept: names of specs, and what else a snapshot holds.
SNAPSHOTS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (COMPARISONS["four"], {"state": "v=1&runs=none,residual,hc,mhc&depth=8&layer=3&difference=true", "note": "why 3"}),
    (COMPARISONS["trained"], {"state": "v=1&step=2&C.name=ours", "title": "Trained, π & <b>"}),
    (("hc",), {"state": MAP_STATE, "title": "A map"}),
]

# Products of intervals, of runs that have the layer.
INTERVALS: list[dict[str, int]] = [{}, {"first": 1, "last": 3}, {"first": 2, "last": 2}]

VERIFIED = ("hc", "mhc_dynamic", "float64", "trained")
MEASURED = (("composite_gain_fwd", "max"), ("act_rms", "last"), ("cka", "median"), ("cos_prev", "min"))

BAD_SPECS: list[Any] = [
    {"depth": 0},
    {"colour": "red"},
    {"width": 30, "block": {"heads": 4}},
    {"connection": {"kind": "kromhc", "streams": 3}},
    {"input": {"kind": "digits", "tokens": 9}},
    {"train": {"steps": True}},
    [],
]


def ask_panels() -> Iterator[Question]:
    """Templates of all panels, for every number of runs."""
    for runs, theme in itertools.product((1, 2, 3, 4), THEMES):
        yield Question(f"{API}/panels", {"runs": runs, "theme": theme})


def ask_figures(ids: Ids, views: Views) -> Iterator[Question]:
    """Every view of every panel of every run in both themes."""
    for run_id, (panel, view), theme in itertools.product(ids.values(), views, THEMES):
        yield _ask_figure([run_id], panel, theme=theme, view=view)


def ask_joint_figures(ids: Ids, views: Views) -> Iterator[Question]:
    """Every view of several runs: side by side, and against the first."""
    for names, (panel, view) in itertools.product(COMPARISONS.values(), views):
        together = [ids[name] for name in names]
        yield _ask_figure(together, panel, view=view, theme="light")
        yield _ask_figure(together, panel, view=view, theme="dark", difference="true")
    for panel, difference in itertools.product(("gain", "activation", "gradient", "cka"), ("false", "true")):
        yield _ask_figure([ids["hc"], ids["overflow"]], panel, difference=difference)


def ask_placed_figures(ids: Ids, views: Views) -> Iterator[Question]:
    """Every view at steps of training and at a layer; products of intervals; labels."""
    trained = [ids[name] for name in COMPARISONS["trained"]]
    for (panel, view), step in itertools.product(views, (0, 3)):
        yield _ask_figure(trained, panel, view=view, step=step, layer=1)
        yield _ask_figure(trained, panel, view=view, step=step, difference="true")
    for interval, name in itertools.product(INTERVALS, ("hc", "mhc_dynamic", "frac", "trained", "overflow")):
        yield _ask_figure([ids[name]], "detail", view="interval", **interval)
    for panel, _ in dict(views).items():
        yield _ask_figure([ids["hc"], ids["mhc"]], panel, label=["ours, 100 %", "π & <b>"], layer=2)


def ask_composites(ids: Ids) -> Iterator[Question]:
    """The mixing of intervals of layers, multiplied."""
    for (name, run_id), interval in itertools.product(ids.items(), INTERVALS):
        if not interval or SPECS[name]["depth"] > interval["last"]:
            yield Question(f"{API}/runs/{run_id}/composite", interval)


def ask_descriptions() -> Iterator[Question]:
    """What the page and clients build on."""
    yield from (Question(f"{API}/{path}") for path in ("schema", "metrics-catalogue", "presets", "costs/paper"))


def ask_costs() -> Iterator[Question]:
    """Predictions: all but the seconds, which each server measures for itself."""
    for spec in SPECS.values():
        yield Question(f"{API}/estimate", body=spec)
    for name in ("hc", "trained", "jacobian"):
        yield Question(f"{API}/costs", body=SPECS[name])
        yield from (Question(f"{API}/costs/figure", {"theme": theme}, body=SPECS[name]) for theme in THEMES)


def ask_refused(ids: Ids) -> Iterator[Question]:
    """What must be refused, in which field."""
    yield from (Question(f"{API}/runs", body=spec) for spec in BAD_SPECS)
    yield Question(f"{API}/runs/compare", body=[SPECS["hc"], {**SPECS["mhc"], "seed": 1}])
    yield Question(f"{API}/runs/nothing")
    yield Question(f"{API}/runs/{ids['hc']}/composite", {"first": 5, "last": 2})
    for panel, params in (("none", {}), ("gain", {"view": "none"}), ("gain", {"layer": 99}), ("gain", {"step": 1})):
        yield _ask_figure([ids["hc"]], panel, **params)
    yield Question(f"{API}/snapshots", body={"runs": []})
    yield Question(f"{API}/runs/sweep", body={**SWEEP, "x": {"field": "nothing", "values": [1]}})


def ask_sweep(base: str) -> Iterator[Question]:
    """Numbers and maps of a sweep, at its own address or at a snapshot's."""
    for metric, reduction in MEASURED:
        params = {"metric": metric, "reduce": reduction}
        yield Question(f"{base}/values", params)
        yield from (Question(f"{base}/figure", {**params, "theme": theme}) for theme in THEMES)


def ask_stored_figures(ids: Ids, views: Views) -> Iterator[Question]:
    """Figures of what is shown in snapshots."""
    for (names, _), (panel, view) in itertools.product(SNAPSHOTS, views):
        yield _ask_figure([ids[name] for name in names], panel, view=view)


def _ask_figure(run_ids: Sequence[str], panel: str, **params: Any) -> Question:
    first, *others = run_ids
    more = {"with": ",".join(others)} if others else {}
    return Question(f"{API}/runs/{first}/figures/{panel}", {**params, **more})
