"""Code with an event loop of its own: in a thread, for Playwright's loop may run in this one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def run_apart(call: Callable[[], T]) -> T:
    """What the call returns or raises."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call).result()
