"""The picture of a link: what a chat or a feed shows of a shared view, drawn from its stored runs.

Title, of every run its headline and a sentence, the page's gain curves, and its streams as ribbons; of a view with a
map that map in their place, for it is what lay over them when the view was shared.
"""

import asyncio
import io
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import plotly.graph_objects as go

from app import figures
from app.figures.fill.sources import Columns
from app.figures.methods import to_run_styles
from app.figures.style import MAX_RUNS, THEMES, RunStyle, Theme
from app.pages.raster import Canvas, draw_curves, measure, shorten, wrap
from app.pages.raster_map import draw_map
from app.pages.raster_picture import draw_ribbons
from app.store.runs import Run
from mhc_core.record.source import Source, SpecSource

WIDTH, HEIGHT = 1200, 630
THEME: Final = "dark"
REVISION = 3  # goes up when the same view is to be drawn anew
KEPT = 64  # pictures held in memory, of about 60 KB
MARGIN = 48

TOLD = (MARGIN, 176, 430, 418)  # left, top, width, height: the runs in words
GAIN = (596, 190, 452, 196)
STREAMS = (596, 452, 452, 124)
MAP = (596, 228, 452, 330)


@dataclass(frozen=True)
class Told:
    """One run of a picture."""

    label: str
    columns: Columns
    headline: str
    sentences: Sequence[str]


@dataclass(frozen=True)
class Map:
    """The map of a picture: its figure (`figures.map`), what its number is, and its settings."""

    figure: go.Figure
    title: str
    axes: str


@dataclass(frozen=True)
class Headlines:
    """The number of each run in a preset's view, and what it is."""

    what: str
    texts: Sequence[str]


@dataclass(frozen=True)
class View:
    """What a picture shows; runs beyond the first four are counted in `more`."""

    title: str
    foot: str
    runs: Sequence[Told]
    more: int = 0
    map: Map | None = None


def to_view(
    title: str,
    runs: Sequence[Run],
    labels: Sequence[str],
    results: Sequence[Columns],
    shown: Map | None = None,
    headlines: Headlines | None = None,
) -> View:
    """A view of finished runs; `headlines` stand in place of their own, as in a preset's view."""
    told = []
    for place, (run, label, result) in enumerate(list(zip(runs, labels, results, strict=True))[:MAX_RUNS]):
        summary = run.summary or {"headline": {"text": ""}, "findings": []}
        sentences = [finding["text"] for finding in summary["findings"]]
        told.append(
            Told(label, result, headlines.texts[place] if headlines else summary["headline"]["text"], sentences)
        )
    foot = _to_foot(runs[0].source, results[0])
    foot = f"{headlines.what} · {foot}" if headlines else foot
    return View(title or ", ".join(labels), foot, told, max(0, len(runs) - MAX_RUNS), shown)


def _to_foot(source: Source, result: Columns) -> str:
    """What was measured, in few words."""
    if isinstance(source, SpecSource):
        return f"depth {source.spec['depth']} · width {source.spec['width']} · seed {source.spec['seed']}"
    return f"trace · {result.depth} layers · {source.model.parameters:,} parameters"


def draw(view: View, theme: Theme = THEMES[THEME]) -> bytes:
    """The picture as PNG, 1200 x 630."""
    canvas = Canvas(WIDTH, HEIGHT, theme)
    _draw_head(canvas, view)
    for style, run, top, height in _places(view, theme):
        _draw_run(canvas, run, style, top, height)
    if view.map is None:
        _draw_curves(canvas, view)
    else:
        left, top = MAP[:2]
        canvas.text(left, top - 40, shorten(view.map.title, 18, WIDTH - MARGIN - left), 18, theme.ink)
        canvas.text(left, top - 14, shorten(view.map.axes, 18, WIDTH - MARGIN - left), 18, theme.muted)
        draw_map(canvas, view.map.figure, MAP)
    file = io.BytesIO()
    canvas.finish().save(file, "PNG")
    return file.getvalue()


def _draw_curves(canvas: Canvas, view: View) -> None:
    theme = canvas.theme
    columns, labels = [run.columns for run in view.runs], [run.label for run in view.runs]
    canvas.text(GAIN[0], GAIN[1] - 16, "Composite gain by layer: forward thick, backward thin", 18, theme.muted)
    draw_curves(canvas, figures.fill_panel("gain", columns, labels, theme), GAIN)
    canvas.text(STREAMS[0], STREAMS[1] - 16, "Streams by layer, as wide as they are large", 18, theme.muted)
    colors = [style.color for style, *_ in _places(view, theme)]
    draw_ribbons(canvas, list(zip(columns, colors, strict=True)), STREAMS)


def _places(view: View, theme: Theme) -> list[tuple[RunStyle, Told, float, float]]:
    _, top, _, height = TOLD
    each = min(210.0, height / max(1, len(view.runs)))
    styles = to_run_styles([run.columns.method for run in view.runs], theme.name)
    pairs = zip(styles, view.runs, strict=True)
    return [(style or theme.blank, run, top + index * each, each) for index, (style, run) in enumerate(pairs)]


def _draw_head(canvas: Canvas, view: View) -> None:
    theme = canvas.theme
    canvas.text(MARGIN, 66, "mHC", 26, theme.accent, bold=True)
    canvas.text(MARGIN + measure("mHC ", 26, True), 66, "Scope", 26, theme.ink, bold=True)
    more = f" · and {view.more} more runs" if view.more else ""
    canvas.text(WIDTH - MARGIN, 66, view.foot + more, 20, theme.muted, "rs")
    canvas.text(MARGIN, 126, shorten(view.title, 40, WIDTH - 2 * MARGIN, True), 40, theme.ink, bold=True)


def _draw_run(canvas: Canvas, run: Told, style: RunStyle, top: float, height: float) -> None:
    left, _, width, _ = TOLD
    theme, text = canvas.theme, left + 18
    canvas.line([(left + 2, top + 4), (left + 2, top + height - 14)], style.color, 4)
    canvas.line([(text, top + 14), (text + 44, top + 14)], style.color, 1.35 * style.width, style.dash)
    canvas.mark((text + 22, top + 14), style.marker, style.color)
    is_low = height < 116  # four runs: what stands in a line of its own else stands at the right
    room = width - 74 - (measure(run.headline, 20, True) + 16 if is_low else 0)
    canvas.text(text + 56, top + 21, shorten(run.label, 20, room, True), 20, style.color, bold=True)
    if is_low:
        canvas.text(left + width, top + 21, run.headline, 20, theme.ink, "rs", bold=True)
    else:
        canvas.text(text, top + 54, shorten(run.headline, 28, width - 18, True), 28, theme.ink, bold=True)
    for index, line in enumerate(_fit(run.sentences, width - 18, 2 if is_low else int((height - 86) // 24))):
        canvas.text(text, top + (52 if is_low else 82) + 24 * index, line, 18, theme.muted)


def _fit(sentences: Sequence[str], width: float, lines: int) -> list[str]:
    """The first sentence, as far as it goes, and of the others those that fit whole."""
    text = " ".join(sentences[:1])
    for sentence in sentences[1:]:
        longer = f"{text} {sentence}"
        if len(wrap(longer, 18, width, lines + 1)) > lines:
            break
        text = longer
    return wrap(text, 18, width, lines)


class Pictures:
    """Draws pictures one at a time, off the event loop, and keeps the last ones."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._turn = asyncio.Lock()  # one thread and about 20 MB, however many requests come

    async def get(self, key: str, load: Callable[[], Awaitable[View]]) -> bytes:
        """The picture known as `key`, or drawn from what `load` gives."""
        async with self._turn:
            if key not in self._kept:
                self._kept[key] = await asyncio.to_thread(draw, await load())
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]
