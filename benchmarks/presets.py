"""Time until all results of a preset are there on a fresh server. Prints a table: `python -m benchmarks.presets`.

Each preset gets a server with an empty data folder. The request comes while the workers still warm up.
"""

import tempfile
import time
from pathlib import Path

import httpx

from app.presets import PRESETS, Preset
from app.presets.opening import OPENING
from tests.conftest import start_server

TARGET_S = 1.0


def measure(preset: Preset) -> tuple[float, int, set[str]]:
    """Seconds until the last frame has come, bytes received, and how the runs ended."""
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder), ready="/livez")
        try:
            with httpx.Client(base_url=server.api, timeout=120) as http:
                body = [spec.canonical() for spec in preset.specs]
                begun, size = time.perf_counter(), 0
                headers = {"Accept": "text/event-stream"}
                with http.stream("POST", "/runs/compare", json=body, headers=headers) as answer:
                    for piece in answer.iter_bytes():
                        size += len(piece)
                seconds = time.perf_counter() - begun
                ended = {http.get(f"/runs/{spec.id}").json()["status"] for spec in preset.specs}
        finally:
            server.kill()
    return seconds, size, ended


def main() -> None:
    """All presets, the opening view first."""
    slow = []
    for preset in (OPENING, *PRESETS):
        seconds, size, ended = measure(preset)
        print(f"{preset.name:20} {len(preset.specs)} runs {size / 1e6:6.2f} MB {seconds:6.3f} s  {', '.join(ended)}")
        if seconds > TARGET_S or ended != {"done"}:
            slow.append(preset.name)
    print(f"above {TARGET_S:g} s or not done: {', '.join(slow) or 'none'}")


if __name__ == "__main__":
    main()
