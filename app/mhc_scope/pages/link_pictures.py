"""Draw the picture that a chat or a feed shows for a link to a view, from the view's stored runs.

It has a claim, the streams of all runs on one linear scale, and at the right the number of each run. If the shared view
showed a sweep, the picture shows the sweep instead of the streams.
"""

import asyncio
import io
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import plotly.graph_objects as go

from mhc_core.figures.methods import to_run_styles
from mhc_core.figures.sources import Columns
from mhc_core.figures.style import MAX_RUNS, THEMES, Theme
from mhc_core.findings.gains import BY_DESIGN
from mhc_core.record.source import Source, SpecSource
from mhc_scope.pages.claims import DIRECTIONS, to_gain_text
from mhc_scope.pages.raster import Canvas, measure, shorten
from mhc_scope.pages.raster_picture import Lanes, draw_ribbons, find_largest, place_lanes, read_sizes
from mhc_scope.pages.raster_sweep import draw_sweep
from mhc_scope.store.runs import StoredRun

WIDTH, HEIGHT = 1200, 630
THEME: Final = "dark"
REVISION = 6  # increase this when the same view is drawn differently
KEPT = 64  # number of pictures cached in memory, of about 100 KB each
MARGIN = 48

STREAMS = (196, 158, 756, 408)  # left, top, width, height
NAMES = (MARGIN, 136)  # left, width
NUMBERS = (976, WIDTH - MARGIN - 976)
SWEEP_BOX = (596, 228, 452, 330)
NUMBER_SIZES = (50, 40, 30, 24)  # font sizes of numbers; the largest one that fits is used
NAME_GAP = 64  # smallest distance between the names of two runs


@dataclass(frozen=True)
class PictureRun:
    """One run of a picture. `number` is its text at the right, and `remark` the text below."""

    label: str
    columns: Columns
    number: str
    remark: str


@dataclass(frozen=True)
class SweepPicture:
    """The sweep of a picture: its figure, the title of its numbers, and a text on its axes."""

    figure: go.Figure
    title: str
    axes: str


@dataclass(frozen=True)
class Headlines:
    """Numbers of a preset's runs, which a picture shows instead of gains, and their meaning."""

    what: str
    texts: Sequence[str]


@dataclass(frozen=True)
class PictureContent:
    """The content of a picture. `more` is the number of runs that are not shown."""

    title: str
    foot: str
    runs: Sequence[PictureRun]
    more: int = 0
    sweep: SweepPicture | None = None


def build_content(
    title: str,
    runs: Sequence[StoredRun],
    labels: Sequence[str],
    results: Sequence[Columns],
    shown: SweepPicture | None = None,
    headlines: Headlines | None = None,
) -> PictureContent:
    """Build the content of a link picture from finished runs. headlines: numbers to show instead of gains."""
    found = []
    for place, (run, label, result) in enumerate(list(zip(runs, labels, results, strict=True))[:MAX_RUNS]):
        number, remark = (headlines.texts[place], "") if headlines else _read_gain(run)
        found.append(PictureRun(label, result, number, remark))
    foot = _to_foot([run.source for run in runs], results[0])
    foot = f"{headlines.what} · {foot}" if headlines else f"Gain of the mixing · {foot}"
    return PictureContent(title or ", ".join(labels), foot, found, max(0, len(runs) - MAX_RUNS), shown)


def _read_gain(run: StoredRun) -> tuple[str, str]:
    """Return the largest forward gain, and a remark: the backward gain if it differs, or why there is no gain."""
    headline = "" if run.summary is None else run.summary["headline"]["text"]
    forward, backward = (to_gain_text(run.summary, direction) for direction in DIRECTIONS)
    if forward is None:
        return "–", headline
    if headline == BY_DESIGN:
        return "×1", "by design"
    return forward, "" if backward in (None, forward) else f"backward {backward}"


def _to_foot(sources: Sequence[Source], result: Columns) -> str:
    """Return the line on the runs' settings: depth, seed, and the drift if it is the same in all runs that have one."""
    source = sources[0]
    if not isinstance(source, SpecSource):
        return f"trace · {result.depth} layers · {source.model.parameters:,} parameters"
    connections = [other.spec["connection"] for other in sources if isinstance(other, SpecSource)]
    drifts = {connection["noise"] for connection in connections if "noise" in connection}
    drift = f" · drift {drifts.pop():g}" if len(drifts) == 1 else ""
    return f"{source.spec['depth']} layers{drift} · seed {source.spec['seed']}"


def draw(view: PictureContent, theme: Theme = THEMES[THEME]) -> bytes:
    """Draw a link picture as PNG, 1200 x 630 pixels."""
    canvas = Canvas(WIDTH, HEIGHT, theme)
    _draw_head(canvas, view)
    order = _order(view)
    lanes = place_lanes([read_sizes(view.runs[run].columns).shape[1] for run in order], STREAMS)
    styles = to_run_styles([run.columns.method for run in view.runs], theme.name)
    colors = [(style or theme.blank).color for style in styles]
    if view.sweep is None:
        placed = [(view.runs[run].columns, colors[run], lane) for run, lane in zip(order, lanes, strict=True)]
        draw_ribbons(canvas, placed, STREAMS)
    else:
        left, top = SWEEP_BOX[:2]
        canvas.draw_text(left, top - 40, shorten(view.sweep.title, 18, WIDTH - MARGIN - left), 18, theme.ink)
        canvas.draw_text(left, top - 14, shorten(view.sweep.axes, 18, WIDTH - MARGIN - left), 18, theme.muted)
        draw_sweep(canvas, view.sweep.figure, SWEEP_BOX)
    for run, y in zip(order, _spread(lanes), strict=True):
        _draw_names(canvas, view.runs[run], colors[run], y, NUMBERS[0] if view.sweep is None else NAMES[0] + 220)
    file = io.BytesIO()
    canvas.finish().save(file, "PNG")
    return file.getvalue()


def _order(view: PictureContent) -> list[int]:
    """Return the runs of a link picture from top to bottom, the one with the largest signal last."""
    return sorted(range(len(view.runs)), key=lambda run: find_largest(read_sizes(view.runs[run].columns)))


def _spread(lanes: Sequence[Lanes]) -> list[float]:
    """Return the vertical positions of run names: in the middle of their lanes, at least `NAME_GAP` apart."""
    places: list[float] = []
    for lane in lanes:
        places.append(max(lane.middle, places[-1] + NAME_GAP if places else lane.middle))
    over = max(0.0, places[-1] - (STREAMS[1] + STREAMS[3] - 18)) if places else 0.0
    return [place - over for place in places]


def _draw_head(canvas: Canvas, view: PictureContent) -> None:
    """Draw the product's name, the line on the runs' settings and the title at the top of a link picture."""
    theme = canvas.theme
    canvas.draw_text(MARGIN, 62, "mHC Scope", 24, theme.muted, bold=True)
    more = f" · and {view.more} more runs" if view.more else ""
    canvas.draw_text(WIDTH - MARGIN, 62, view.foot + more, 18, theme.muted, "rs")
    canvas.draw_text(MARGIN, 118, shorten(view.title, 42, WIDTH - 2 * MARGIN, True), 42, theme.ink, bold=True)


def _draw_names(canvas: Canvas, run: PictureRun, color: str, y: float, numbers_left: float) -> None:
    """Draw the name of a run at the left of its streams, and its number at the right."""
    theme, (left, width) = canvas.theme, NAMES
    streams = read_sizes(run.columns).shape[1]
    canvas.draw_text(left, y, shorten(run.label, 22, width, True), 22, color, bold=True)
    canvas.draw_text(left, y + 24, "1 stream" if streams == 1 else f"{streams} streams", 16, theme.muted)
    numbers_width = NUMBERS[1]
    size = next((size for size in NUMBER_SIZES if measure(run.number, size, True) <= numbers_width), NUMBER_SIZES[-1])
    canvas.draw_text(
        numbers_left, y + size * 0.3, shorten(run.number, size, numbers_width, True), size, color, bold=True
    )
    if run.remark:
        canvas.draw_text(numbers_left, y + size * 0.3 + 24, shorten(run.remark, 16, numbers_width), 16, theme.muted)


class Pictures:
    """Draws pictures one at a time in a thread, and caches the latest."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._turn = asyncio.Lock()  # limits drawing to one thread and about 40 MB for any number of requests

    async def get(self, key: str, load: Callable[[], Awaitable[PictureContent]]) -> bytes:
        """Return the cached picture of a key, or draw it from the content that `load` returns."""
        async with self._turn:
            if key not in self._kept:
                self._kept[key] = await asyncio.to_thread(draw, await load())
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]
