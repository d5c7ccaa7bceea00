"""Workers measure how fast they are; the engine takes the median of what they say."""

import asyncio
from collections.abc import Sequence
from typing import Any

from mhc_core.cost.estimates import estimate
from mhc_core.cost.rates import DEFAULT_RATES
from mhc_core.spec import RunSpec
from mhc_scope.engine.local import LocalEngine
from mhc_scope.settings import Settings
from tests.apart import run_loop


class Silent:
    """A sink that wants to know nothing."""

    async def on_start(self, run_id: str) -> None: ...

    async def on_lines(self, run_id: str, first: int, lines: Sequence[bytes]) -> None: ...

    async def on_end(
        self, run_id: str, index: int, status: Any, reason: str | None, lines: Sequence[bytes] = ()
    ) -> None: ...

    def on_free(self) -> None: ...


def test_a_warm_worker_replaces_the_usual_rates_by_its_own() -> None:
    async def wait_for_worker() -> None:
        engine = LocalEngine(Settings(workers=1))
        assert engine.rates == DEFAULT_RATES
        await engine.start(Silent())
        try:
            async with asyncio.timeout(60):
                while not engine.ready_workers:
                    await asyncio.sleep(0.05)
        finally:
            await engine.stop()
        assert engine.rates != DEFAULT_RATES
        assert 0 < estimate(RunSpec(), engine.rates).seconds < 100

    run_loop(wait_for_worker())
