"""How processes are started here: by fork, from a process that has imported what they need and has no threads.

It takes a second or two to import, so it can be begun before this process imports its own.
"""

import multiprocessing
import sys
from multiprocessing import forkserver

# A fork takes over what was imported, which is most of a worker's start. Elsewhere than on Linux it is not safe.
CAN_FORK = sys.platform == "linux"
CONTEXT = multiprocessing.get_context("forkserver") if CAN_FORK else multiprocessing.get_context("spawn")
PRELOADED = ["mhc_scope.engine.template"]

CONTEXT.set_forkserver_preload(PRELOADED)


def begin_template() -> None:
    """Start what processes are forked from, without waiting for it."""
    if CAN_FORK:
        forkserver.ensure_running()
