"""Code with an event loop of its own: in a thread, for Playwright's loop may run in this one."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run_apart(call: Callable[[], T]) -> T:
    """What the call returns or raises."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call).result()


def run_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns or raises: `asyncio.run`, wherever Playwright's loop runs."""
    return run_apart(lambda: asyncio.run(coroutine))
