"""Templates of figures are written once, for all who request them at the same time."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mhc_core import figures as drawn
from mhc_core.figures.style import ThemeName
from mhc_scope.api import figures


def test_they_are_written_once_for_all_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[int, str]] = []

    def to_response(runs: int, theme: ThemeName) -> dict[str, Any]:
        written.append((runs, theme))
        return {"panels": [], "rules": {}}

    monkeypatch.setattr(figures, "_panels", {})
    monkeypatch.setattr(drawn, "to_response", to_response)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(figures.prepare_panels, [2] * 4))
    assert sorted(written) == [(2, "dark"), (2, "light")]
