"""Heap and DOM of a page that is used for a whole day, imitated by many re-runs. `python -m benchmarks.page_memory`.

Every re-run sets another depth, so that all figures are drawn anew; themes, views and tables change in between. The
heap is read after a garbage collection. What is kept on purpose (24 whole results) is full before the first reading.

Before the first and after the last of the counted re-runs a snapshot of the heap tells what it holds: what the page's
scripts have made, apart from the machine code that the browser goes on compiling for them, and from its own records.
"""

import json
import sys
from collections import Counter

from playwright.sync_api import CDPSession, Page

from benchmarks.chromium import VIEWPORT, open_chromium
from benchmarks.rows import Row, print_rows
from tests.browser.conftest import type_setting, wait_until_done

CODE = "machine code, which the browser goes on compiling"
RERUNS, WARM, EVERY = 450, 50, 50
DEPTHS = range(8, 33)  # as many as divide EVERY: each reading sees the same depths


def rerun(page: Page, index: int) -> None:
    """Choose another depth; sometimes another view, table, theme or number of runs as well."""
    type_setting(page, "Depth", DEPTHS[index % len(DEPTHS)])
    wait_until_done(page)
    if index % 5 == 0:
        gain = page.locator("[data-panel=gain]")
        for item in ("Linear scale", "Logarithmic scale", "Show as table", "Show the figure"):
            gain.get_by_role("button", name="Gain, forward: more").click()
            page.get_by_role("button", name=item).locator("visible=true").click()
        page.locator("body").press("t")
        wait_until_done(page)
    if index % 10 == 0:
        page.get_by_role("button", name="Add a run").click()
        wait_until_done(page)
        page.get_by_role("button", name="Run D: more").click()
        page.get_by_role("button", name="Remove", exact=True).locator("visible=true").click()
        wait_until_done(page)


def read(devtools: CDPSession) -> dict[str, float]:
    """Return megabytes of heap and counts of the document's nodes after a garbage collection."""
    for _ in range(2):
        devtools.send("HeapProfiler.collectGarbage")
    metrics = {item["name"]: item["value"] for item in devtools.send("Performance.getMetrics")["metrics"]}
    return {
        "heap": metrics["JSHeapUsedSize"] / 1e6,
        "nodes": metrics["Nodes"],
        "listeners": metrics["JSEventListeners"],
    }


def take_snapshot(devtools: CDPSession) -> Counter[str]:
    """Return the megabytes of the heap by DevTools' kinds of nodes."""
    chunks: list[str] = []

    def append_chunk(event: dict[str, str]) -> None:
        chunks.append(event["chunk"])

    devtools.on("HeapProfiler.addHeapSnapshotChunk", append_chunk)
    devtools.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    devtools.remove_listener("HeapProfiler.addHeapSnapshotChunk", append_chunk)
    snapshot = json.loads("".join(chunks))
    fields, (kinds, *_) = (snapshot["snapshot"]["meta"][name] for name in ("node_fields", "node_types"))
    nodes, width = snapshot["nodes"], len(fields)
    sizes = nodes[fields.index("self_size") :: width]
    found: Counter[str] = Counter()
    for kind, size in zip(nodes[fields.index("type") :: width], sizes, strict=True):
        found[kinds[kind]] += size / 1e6
    return found


def measure(reruns: int = RERUNS) -> list[tuple[int, dict[str, float]]]:
    """Return readings by number of re-runs; the first one follows a warm-up that fills all caches.

    The first and the last one have what snapshots say as well.
    """
    with open_chromium() as (browser, server):
        page = browser.new_page(viewport=VIEWPORT)
        page.goto(f"{server.url}/#v=1&depth=8")
        wait_until_done(page)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable")
        readings = []
        for index in range(WARM + reruns + 1):
            if index >= WARM and (index - WARM) % EVERY == 0:
                found = read(devtools)
                if index in (WARM, WARM + reruns):
                    held = take_snapshot(devtools)
                    found |= {"code": held["code"], "made": held.total() - held["code"] - held["native"]}
                readings.append((index - WARM, found))
            rerun(page, index)
    return readings


def main() -> None:
    """Print the growth after the first re-runs as rows, and the readings to standard error."""
    readings = measure()
    for reruns, found in readings:
        counts = f"nodes {found['nodes']:6.0f}  listeners {found['listeners']:5.0f}"
        print(f"{reruns:4d} re-runs  heap {found['heap']:6.1f} MB  {counts}", file=sys.stderr, flush=True)
    (begin, first), (end, last) = readings[0], readings[-1]
    against = f"after {WARM} re-runs, Chromium"
    print_rows(
        [
            Row(
                f"{name} of the page after {end - begin} more re-runs",
                against,
                last[key] / first[key],
                "x",
                limit,
                reason=CODE,
            )
            for name, key, limit in (
                ("what scripts have made in the heap", "made", 1.05),
                ("heap, machine code included,", "heap", 1.1),
                ("DOM nodes", "nodes", 1.1),
                ("listeners", "listeners", 1.1),
            )
        ]
    )


if __name__ == "__main__":
    main()
