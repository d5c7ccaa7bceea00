"""Figures that the page derives against those of the server, in random views: `python -m benchmarks.derived`.

Each view is opened by its link in a window so tall that every figure is drawn. One of its sliders is moved while no
request for runs is answered; what is then drawn and not dimmed is derived. The slider is let go, the server
answers, and the page is loaded anew: it now has the server's numbers alone. Values on a logarithmic axis are compared
relative to themselves, others relative to the larger of themselves and 1. The page itself compares every column that it
knew, drawn or not, and says in the console where one differs by more than 1e-6.
"""

import argparse
import math
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect

from benchmarks.chromium import open_chromium
from benchmarks.rows import Row, print_rows
from tests.browser.conftest import SETTLED, open_settings, wait_until_done

VIEWS, SEED, LIMIT_S = 200, 11, 3600.0
TOLD = 10  # views between two words of how far it is
TALL_PX = 5200  # every figure is in sight: what is not is not drawn
DIMMED_MS = 450  # longer than a figure that was drawn takes to be dimmed
TOLERANCE = 1e-6
KINDS = ("residual", "hc", "mhc", "mhc_lite", "kromhc", "orthostochastic", "frac", "identity_hc")
SETTINGS: dict[str, tuple[Any, ...]] = {
    "depth": (6, 12, 24, 40),
    "width": (16, 32),
    "seed": range(1000),  # type: ignore[dict-item]
    "dtype": ("float32", "float32", "float64"),
    "block.kind": ("mlp", "transformer", "conv"),
    "block.scaling": ("constant", "constant", "inv_sqrt_depth"),
    "input.kind": ("text", "gaussian"),
    "connection.streams": (2, 4),
    "connection.noise": (0.1, 0.3, 0.6, 1.0),
    "connection.sinkhorn_iters": (3, 20),
    "connection.dynamic": ("false",) * 5 + ("true",),
}
SECTIONS = ("mixing", "similarity", "expert")  # closed otherwise, and a closed one draws nothing
SLIDERS = ("depth", "connection-noise", "connection-sinkhorn_iters")
# Puts a slider on another stop, a share of the way up the others; the depth on a smaller one. False without one.
MOVE = """([name, share]) => {
    const slider = document.querySelector(`#field-${name}, #setting-${name}`);
    if (!slider || slider.disabled) return false;
    const [at, max] = [Number(slider.value), name === 'depth' ? Number(slider.value) : Number(slider.max)];
    const others = [...new Array(max + 1).keys()].filter((stop) => stop !== at);
    if (others.length === 0) return false;
    slider.value = String(others[Math.floor(share * others.length)]);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    return true;
}"""
RELEASE = """name => document.querySelector(`#field-${name}, #setting-${name}`)
    .dispatchEvent(new Event('change', { bubbles: true }))"""
# Of every figure whether it is dimmed, and its values by trace, as numbers or null.
DRAWN = """() => Object.fromEntries([...document.querySelectorAll('[data-panel]')].flatMap((card) => {
    const plot = card.querySelector('.plot');
    if (!plot?.data) return [];
    const toValues = (cells) => [...cells].flatMap((cell) => (cell?.length === undefined ? [cell] : [...cell]));
    const traces = plot.data.filter((trace) => trace.visible !== false && (trace.z ?? trace.y)).map((trace) => {
        const axis = `yaxis${(trace.yaxis ?? 'y').slice(1)}`;
        const isLog = !trace.z && plot.layout.meta.axes?.[axis]?.scale === 'log';
        const values = toValues(trace.z ?? trace.y).map((value) => (Number.isFinite(value) ? value : null));
        return { name: `${trace.meta.run} ${trace.meta.key}`, isLog, values };
    });
    if (traces.length === 0) return [];
    return [[card.dataset.panel, { isDimmed: card.querySelector('.plot-box.stale') !== null, traces }]];
}))"""

Figures = dict[str, dict[str, Any]]


@dataclass
class Found:
    """Counts of the compared views, figures and values, and their differences."""

    views: int = 0
    figures: int = 0
    dimmed: int = 0
    values: int = 0
    largest: float = 0.0
    differing: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def note(self, message: ConsoleMessage) -> None:
        """Store a console message in which the page reports a difference."""
        if "Derived columns" in message.text:
            self.said.append(message.text)


def draw_view(drawn: random.Random) -> str:
    """Build the URL hash of a random view: one to three runs, with the sections open that update while dragging."""
    kinds = drawn.sample(KINDS, drawn.randint(1, 3))
    settings = {path: drawn.choice(values) for path, values in SETTINGS.items()}
    chosen = [f"{path}={value}" for path, value in settings.items()]
    return "&".join(["v=1", f"runs={','.join(kinds)}", *chosen, f"open={','.join(SECTIONS)}"])


@contextmanager
def silence(page: Page) -> Iterator[None]:
    """Hold back the answers to requests for runs until the block ends."""
    held: list[Route] = []
    page.route("**/runs/compare*", lambda route: held.append(route))  # a bound method is refused
    yield
    for route in held:
        route.continue_()
    page.unroute("**/runs/compare*")


def read_figures(page: Page) -> Figures:
    """Wait until all figures are drawn, and return their values."""
    page.evaluate(SETTLED)
    expect(page.locator(".plot-box[data-waits]")).to_have_count(0)
    expect(page.locator(".sketch")).to_have_count(0)
    found: Figures = page.evaluate(DRAWN)
    return found


def move(page: Page, drawn: random.Random) -> str | None:
    """Move one slider that has an effect in the view. Return its name; None if there is none."""
    open_settings(page)  # where the slider of the rounds is
    for name in drawn.sample(SLIDERS, len(SLIDERS)):
        if page.evaluate(MOVE, [name, drawn.random()]):
            return name
    return None


def compare_view(page: Page, url: str, drawn: random.Random, found: Found) -> None:
    """Move a slider in a random view, and compare its figures with those of the server after a reload."""
    page.goto(f"{url}/#{draw_view(drawn)}")
    wait_until_done(page)
    with silence(page):
        name = move(page, drawn)
        if name is None:
            return
        read_figures(page)  # all are drawn
        page.wait_for_timeout(DIMMED_MS)
        derived = read_figures(page)
        page.evaluate(RELEASE, name)
    wait_until_done(page)
    page.reload()
    wait_until_done(page)
    add(found, derived, read_figures(page), page.url)


def add(found: Found, derived: Figures, said: Figures, address: str) -> None:
    """Count the figures, and measure their distance from those of the server."""
    found.views += 1
    for panel, figure in derived.items():
        if figure["isDimmed"]:
            found.dimmed += 1
            continue
        found.figures += 1
        mine, theirs = figure["traces"], said.get(panel, {"traces": []})["traces"]
        if [trace["name"] for trace in mine] != [trace["name"] for trace in theirs]:
            found.differing.append(f"{address}: {panel} has other curves")
            continue
        for one, other in zip(mine, theirs, strict=True):
            found.values += len(one["values"])
            away = to_difference(one, other)
            found.largest = max(found.largest, away)
            if away > TOLERANCE:
                found.differing.append(f"{address}: {panel}, {one['name']}: {away:.3g}")


def to_difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return the largest difference of two curves or matrices; inf if only one of them has a value somewhere."""
    if len(one["values"]) != len(other["values"]):
        return math.inf
    largest = 0.0
    for a, b in zip(one["values"], other["values"], strict=True):
        if (a is None) != (b is None):
            return math.inf
        if a is not None:
            largest = max(largest, abs(a - b) * math.log(10) if one["isLog"] else abs(a - b) / max(1.0, abs(b)))
    return largest


def measure(browser: Browser, url: str, views: int, seed: int = SEED, limit_s: float = LIMIT_S) -> Found:
    """Compare up to `views` views in one page, as far as the time limit allows."""
    drawn, found = random.Random(seed), Found()
    context = browser.new_context(viewport={"width": 1440, "height": TALL_PX}, reduced_motion="reduce")
    page = context.new_page()
    page.on("console", found.note)
    deadline = time.monotonic() + limit_s
    while found.views < views and time.monotonic() < deadline:
        compare_view(page, url, drawn, found)
        if found.views % TOLD == 0:
            print(f"{found.views} of {views} views, {len(found.differing)} differ", file=sys.stderr, flush=True)
    context.close()
    return found


def to_rows(found: Found) -> list[Row]:
    """Return the rows of the table."""
    where = f"{found.views} random views, {found.values:,} values"
    return [
        Row("largest difference of derived figures", where, found.largest, "", TOLERANCE),
        Row("figures that differ by more than 1e-6", f"{found.figures} derived", len(found.differing), "", 0),
        Row("differences that the page found itself", "every derived column", len(found.said), "", 0),
        Row("figures dimmed until the server had answered", f"{found.figures} derived", found.dimmed, ""),
    ]


def main() -> None:
    """Compare random views, print the differences and the rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.derived", description=__doc__)
    parser.add_argument("--views", type=int, default=VIEWS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--limit-s", type=float, default=LIMIT_S)
    options = parser.parse_args()
    with open_chromium("--no-precompute") as (browser, server):
        found = measure(browser, server.url, options.views, options.seed, options.limit_s)
    print_rows(to_rows(found))
    for text in [*found.differing, *found.said]:
        print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
