"""Workers are forked, so what they are forked from has no threads, and computes nothing."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

COUNT = """import os, sys, app.engine.local.template, torch
print(len(os.listdir("/proc/self/task")), torch.cuda.is_initialized(), "app.main" in sys.modules)"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are not forked")
def test_the_template_has_one_thread_no_device_and_nothing_of_the_server() -> None:
    told = subprocess.run([sys.executable, "-c", COUNT], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert told.split() == ["1", "False", "False"]
