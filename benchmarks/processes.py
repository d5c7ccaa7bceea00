"""Work in a fresh process, whose largest memory Linux tells."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def run_fresh(module: str, *arguments: str) -> dict[str, Any]:
    """Run `python -m module arguments` with one thread. Return the JSON of its last line."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def read_memory(key: str) -> int:
    """Return the bytes of VmRSS, the present memory of this process, or of VmHWM, its largest."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def forget_peak() -> None:
    """Reset VmHWM. (ru_maxrss cannot be reset, and a child inherits it.)"""
    Path("/proc/self/clear_refs").write_text("5")
