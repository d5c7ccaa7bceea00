"""Start processes by fork, from a process that has imported what they need and has no threads.

The import takes a second or two, so it can start before this process imports its own modules.
"""

import multiprocessing
import sys
from multiprocessing import forkserver

# A fork copies the imported modules, which is most of a worker's start. Only on Linux is that safe.
CAN_FORK = sys.platform == "linux"
CONTEXT = multiprocessing.get_context("forkserver") if CAN_FORK else multiprocessing.get_context("spawn")
PRELOADED = ["mhc_scope.engine.template"]

CONTEXT.set_forkserver_preload(PRELOADED)


def begin_template() -> None:
    """Start the process that others are forked from, without waiting for it."""
    if CAN_FORK:
        forkserver.ensure_running()
