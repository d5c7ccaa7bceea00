"""Cases are coroutines. They run in one event loop, in which engines live from case to case."""

import asyncio
import inspect
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mhc_scope import limits
from tests.contract.engine.bench import Bench
from tests.contract.engine.harness import HARNESSES

CASE_S = 300.0
DEADLINE_S, MEMORY_BYTES = 1.0, 1200 * 2**20  # a worker with a CUDA build of torch takes 760 MiB


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a case in the loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    case = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    loop = pyfuncitem.funcargs["runner"]
    assert isinstance(loop, Loop)
    loop.run(asyncio.wait_for(case, CASE_S))
    return True


class Loop:
    """An event loop in a thread of its own: browser tests in the same process leave one running in theirs."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._runner = asyncio.Runner()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine to its end."""
        self._thread.submit(self._runner.run, coroutine).result()

    def close(self) -> None:
        """End the loop and its thread."""
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()


@pytest.fixture(scope="session", autouse=True)
def no_spare() -> Iterator[None]:
    """Keep engines from starting a spare worker, which is beside those that are counted and killed here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SHORT_RUN_S", 0.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def runner() -> Iterator[Loop]:
    """The event loop."""
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=[] if name == "local" else pytest.mark.full) for name in HARNESSES],
)
def benches(request: pytest.FixtureRequest, runner: Loop, no_spare: None) -> Iterator[dict[str, Bench]]:
    """The engines that cases share, all started at once: their workers warm up while others compute."""
    harness = HARNESSES[request.param]
    started = {
        "shared": Bench(harness(), workers=2),
        "hasty": Bench(harness(), workers=1, run_deadline_s=DEADLINE_S),
        "small": Bench(harness(), workers=1, worker_memory_bytes=MEMORY_BYTES),
    }
    for bench in started.values():
        runner.run(bench.start())
    yield started
    for bench in started.values():
        runner.run(bench.engine.stop())


@pytest.fixture
def bench(benches: dict[str, Bench]) -> Iterator[Bench]:
    """An engine with two workers."""
    yield from check(benches["shared"])


@pytest.fixture
def hasty_bench(benches: dict[str, Bench]) -> Iterator[Bench]:
    """An engine with one worker, and a deadline of a second."""
    yield from check(benches["hasty"])


@pytest.fixture
def small_bench(benches: dict[str, Bench]) -> Iterator[Bench]:
    """An engine with one worker, and little memory."""
    yield from check(benches["small"])


def check(bench: Bench) -> Iterator[Bench]:
    """After every case: no job is left, and the engine has reported nothing that the contract rules out."""
    yield bench
    assert bench.recorder.broken == []
    assert bench.engine.running == 0
