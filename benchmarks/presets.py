"""Seconds until presets are drawn on a new server. `python -m benchmarks.presets [NAME ...]` prints rows; default all.

Each preset gets a server and a browser with an empty cache twice: once it is chosen among the examples of an open
page, and once it is opened by its link, which includes what every first visit loads. The window is open before the
server starts, as a reader's is: in its first second a window needs twice the time for the same page. The preset is
drawn when the page has its numbers and every figure in sight is that of its runs, drawn by Plotly or as a sketch that
shows data. Standard error has a line for each preset.
"""

import statistics
import sys

from playwright.sync_api import Page, sync_playwright

from benchmarks.chromium import DONE, VIEWPORT, open_server
from benchmarks.rows import Row, print_rows
from mhc_core.figures.style import THEMES
from mhc_scope.presets import BY_NAME, PRESETS, Preset
from tests.browser.conftest import FLAGS, find_chromium, wait_until_done
from tests.conftest import Server

TARGET_S = 1.0
# By whether it is chosen in an open page: what is measured, and why it may miss the target.
TITLES = {
    True: ("a preset chosen in an open page, all figures in sight", "not yet known where the time goes"),
    False: ("a preset opened by its link", "what a first visit loads comes first"),
}
CHOSEN = [preset for preset in PRESETS if preset.name in (sys.argv[1:] or BY_NAME)]
AGAINST = f"{len(CHOSEN)} presets, a fresh server and browser for each"

# `preset.numbers` are what the page says of each run, which it takes from the runs' own columns.
DRAWN = (
    DONE
    + f"const GRID = {[int(THEMES['light'].grid[at : at + 2], 16) for at in (1, 3, 5)]};"
    + """
// Charts near the window are drawn for the next scroll: they are not in sight.
const isInSight = (part) => {
  const { top, bottom } = part.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
};
const isViewDone = () => readStatus() === 'idle' && ![...document.querySelectorAll(AWAITED)].some(isInSight);
const isPresetDrawn = ({ name, panel }) => {
  const numbers = [...document.querySelectorAll('.preset-numbers tbody td:nth-of-type(1)')];
  return location.pathname === `/p/${name}` && numbers.length > 0
    && numbers.every((cell) => cell.textContent !== '…') && isViewDone()
    && document.querySelector(`#panel-${panel} :is(.main-svg, .sketch)`) !== null;
};
// Where a figure has curves or cells and lines of the grid alone: axes and their numbers are left and below.
const isBlank = (sketch) => {
  const [left, width] = [Math.round(0.2 * sketch.width), Math.round(0.55 * sketch.width)];
  const [top, height] = [Math.round(0.1 * sketch.height), Math.round(0.65 * sketch.height)];
  const { data } = sketch.getContext('2d').getImageData(left, top, width, height);
  let drawn = 0;
  for (let at = 0; at < data.length; at += 4)
    if (data[at + 3] > 128 && GRID.some((value, channel) => Math.abs(data[at + channel] - value) > 40)) drawn++;
  return drawn < 100;
};
const listBlank = () => [...document.querySelectorAll('.sketch')]
  .filter((sketch) => isInSight(sketch) && isBlank(sketch))
  .map((sketch) => sketch.closest('[data-panel]').dataset.panel);
const whenDrawn = (preset) => new Promise((done) => {
  const look = () => {
    if (!isPresetDrawn(preset)) return requestAnimationFrame(look);
    const at = performance.now();
    done({ at, blank: listBlank() });
  };
  requestAnimationFrame(look);
});
"""
)
# A script of its own in the page: a policy forbids those that are evaluated from text.
OPENED = "window.openedAt = whenDrawn(%s);"
CHOOSE = """(name) => {
  const begun = performance.now();
  document.querySelector(`.gallery a[href='/p/${name}']`).click();
  return window.openedAt.then(({ at, blank }) => ({ seconds: (at - begun) / 1000, blank }));
}"""


def open_preset(page: Page, server: Server, preset: Preset, *, is_chosen: bool) -> float:
    """Return the seconds until a preset is drawn, from the click on it or from the start of the navigation.

    page: of a window with an empty cache.

    Raises
    ------
    RuntimeError
        If a sketch in sight shows no data then, or the page not all runs, so that the time has no meaning.
    """
    page.add_init_script(f"(() => {{ {DRAWN} {OPENED % to_javascript(preset)} }})()")
    if is_chosen:
        page.goto(server.url)
        wait_until_done(page)
        page.get_by_role("button", name="Examples").click()
        page.locator(".gallery .spark path").first.wait_for(state="attached")
        drawn = page.evaluate(CHOOSE, preset.name)
    else:
        page.goto(f"{server.url}/p/{preset.name}")
        drawn = page.evaluate("window.openedAt.then(({ at, blank }) => ({ seconds: at / 1000, blank }))")
    if drawn["blank"]:
        raise RuntimeError(f"{preset.name}: sketches without data: {', '.join(drawn['blank'])}")
    check_runs(page, preset)
    return float(drawn["seconds"])


def to_javascript(preset: Preset) -> str:
    """Return the data of a preset that the script in the page needs."""
    return f"{{ name: '{preset.name}', panel: '{preset.panel}' }}"


def check_runs(page: Page, preset: Preset) -> None:
    """Check that the page shows as many runs as the preset has.

    Raises
    ------
    RuntimeError
        If it does not, so that its time has no meaning.
    """
    shown = page.locator(".results-table tbody tr:not(.findings)").count()
    if shown != len(preset.specs):
        raise RuntimeError(f"{preset.name}: {shown} runs are shown, not {len(preset.specs)}")


def measure() -> list[Row]:
    """Open every preset, or those that are named, both ways, and return the rows."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for preset in CHOSEN:
            for is_chosen, found in seconds.items():
                page = browser.new_page(viewport=VIEWPORT, color_scheme="light")
                with open_server() as server:
                    found.append(open_preset(page, server, preset, is_chosen=is_chosen))
                page.close()
            print(f"{preset.name:20} {seconds[True][-1]:.2f} s {seconds[False][-1]:.2f} s", file=sys.stderr, flush=True)
        browser.close()
    rows = []
    for is_chosen, (title, reason) in TITLES.items():
        found = seconds[is_chosen]
        rows.append(Row(f"{title}: median", AGAINST, statistics.median(found), "s"))
        rows.append(Row(f"{title}: slowest", AGAINST, max(found), "s", TARGET_S, reason=reason))
    return rows


if __name__ == "__main__":
    print_rows(measure())
