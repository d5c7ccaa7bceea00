"""Start processes by fork, from a template process that has imported what they need and has no threads.

The imports take a second or two, so that the template can start before this process imports its own modules.
"""

import multiprocessing
import sys
from multiprocessing import forkserver

# A forked process has the imported modules already, which would take most of a worker's start. Safe only on Linux.
CAN_FORK = sys.platform == "linux"
CONTEXT = multiprocessing.get_context("forkserver") if CAN_FORK else multiprocessing.get_context("spawn")
PRELOADED = ["mhc_scope.engine.template"]

CONTEXT.set_forkserver_preload(PRELOADED)


def begin_template() -> None:
    """Start the template process, from which others are forked, without waiting for it."""
    if CAN_FORK:
        forkserver.ensure_running()
