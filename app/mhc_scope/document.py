"""Write a single HTML document with the page's figures of results in memory. It makes no requests."""

import base64
import json
import posixpath
import re
from collections.abc import Sequence

from mhc_core import figures
from mhc_core.figures.derivation import to_derivation_rules, to_movable_fields
from mhc_core.figures.methods import to_plain_methods
from mhc_core.figures.run_names import label_sources
from mhc_core.figures.style import FONT, THEMES, Theme, ThemeName
from mhc_core.record import codec
from mhc_core.record.frames import EndFrame
from mhc_core.record.result import Result
from mhc_core.spec import SpecError
from mhc_scope.files import NODE_MODULES, STATIC, read_file

FIRST_MODULE = "widget.js"
PLOTLY = "plotly.js-cartesian-dist-min/plotly-cartesian.min.js"
POLICY = "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; img-src data: blob:"
PREFIX = "mhc-scope/"  # prefix of modules in the import map, because relative imports do not work in data: URLs
IMPORT = re.compile(r"(\bfrom ')(\.{1,2}/[\w./-]+)(')")
STYLE = """
:root { color-scheme: THEME; }
body { margin: 0; padding: 12px; background: PAGE; color: INK; font: 14px/1.5 FONT; }
h2 { font-size: 15px; margin: 0 0 4px; } p, ul { margin: 0 0 6px; } ul { padding-left: 18px; }
.headline { font-weight: 700; } .bar { position: sticky; top: 0; z-index: 9; background: PAGE; padding: 6px 0; }
#stories, #cards { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); }
section { border: 1px solid GRID; border-radius: 10px; padding: 10px 14px; min-width: 0; overflow: hidden; }
.missing { opacity: 0.75; } .waits { opacity: .42; }
input { width: min(420px, 60%); vertical-align: middle; }
#try-it { margin: 0 0 10px; } #try-it summary { font-weight: 700; cursor: pointer; }
.sliders { display: flex; flex-wrap: wrap; gap: 6px 24px; margin: 6px 0; } .sliders label { flex: 1 1 200px; }
.sliders output { float: right; font-weight: 700; } .sliders input { display: block; width: 100%; min-height: 24px; }
"""
TRY_IT = """<details id="try-it" open hidden><summary>Try it</summary>
<div class="sliders"></div><p class="said" aria-live="polite">
What follows from these runs is shown immediately; what needs new runs is dimmed.</p></details>
"""


def write_document(results: Sequence[Result], theme: ThemeName = "light", layer: int | None = None) -> str:
    """Return an HTML document with all figures of one to four results.

    layer: position of the cursor, counted from 0; by default the last layer.

    Raises
    ------
    SpecError
        If there are no results or too many, or if one has no frames.
    """
    if not 1 <= len(results) <= figures.MAX_RUNS:
        raise SpecError("results", len(results), f"1 to {figures.MAX_RUNS} results")
    runs = [_to_frames(index, result) for index, result in enumerate(results)]
    given = {
        "templates": figures.to_response(len(results), theme),
        "methods": to_plain_methods(),
        "labels": label_sources([result.source for result in results]),
        "runs": runs,
        "layer": max(result.depth for result in results) - 1 if layer is None else layer,
        "movable": to_movable_fields(),
        "derivation": to_derivation_rules(),
    }
    plotly = read_file(f"{NODE_MODULES}/{PLOTLY}").decode().replace("</script", "<\\/script")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>mHC Scope</title><style>{_write_style(THEMES[theme])}</style>
<script type="application/json" id="given">{_to_safe_json(codec.to_json(given))}</script>
<script type="importmap">{json.dumps({"imports": collect_modules()})}</script>
<script>{plotly}</script></head>
<body><div id="stories"></div>
<p class="bar"><label>Cursor <input id="layer" type="range" min="1" value="1"></label> <span id="place"></span></p>
{TRY_IT}<div id="cards"></div><script type="module">import '{PREFIX}{FIRST_MODULE}';</script></body></html>
"""


def collect_modules() -> dict[str, str]:
    """Return the import map of an offline document: module name -> a data: URL with its text."""
    addresses: dict[str, str] = {}
    waiting = [FIRST_MODULE]
    while waiting:
        path = waiting.pop()
        if f"{PREFIX}{path}" in addresses:
            continue
        folder = posixpath.dirname(path)
        source = read_file(f"{STATIC}/js/{path}").decode()
        needed = [posixpath.normpath(posixpath.join(folder, found[2])) for found in IMPORT.finditer(source)]
        waiting += needed
        names = iter(needed)
        text = IMPORT.sub(lambda found, names=names: f"{found[1]}{PREFIX}{next(names)}{found[3]}", source)  # type: ignore[misc]
        packed = base64.b64encode(text.encode()).decode()
        addresses[f"{PREFIX}{path}"] = f"data:text/javascript;base64,{packed}"
    return addresses


def _to_frames(index: int, result: Result) -> list[object]:
    """Return the frames of a result as plain data, with `end` if the run is complete."""
    if not result.frames:
        raise SpecError(f"results.{index}", "no frames", "a result that keeps its frames")
    lines = [codec.encode_frame(frame, str(index), place) for place, frame in enumerate(result.frames)]
    if result.has_summary and not isinstance(
        result.frames[-1], EndFrame
    ):  # a run that was computed without a server has no end, which sliders need
        lines.append(codec.encode_end(str(index), len(lines), "done", None))
    return [json.loads(line) for line in lines]


def _to_safe_json(text: bytes) -> str:
    """Escape JSON so that no markup in it can end its script element."""
    return text.decode().replace("<", "\\u003c")


def _write_style(theme: Theme) -> str:
    """Return the style sheet of an offline document in the colours of a theme."""
    names = {"THEME": theme.name, "PAGE": theme.card, "INK": theme.ink, "GRID": theme.grid, "FONT": FONT}
    return re.sub("|".join(names), lambda found: names[found[0]], STYLE)
