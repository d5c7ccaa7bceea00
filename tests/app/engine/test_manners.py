"""Workers give way to other programs on the machine, above all to a browser."""

import os
from pathlib import Path

import pytest

from tests.conftest import Server

pytestmark = pytest.mark.full


def test_a_worker_is_nice_within_its_session_and_as_a_session(server: Server) -> None:
    assert server.worker_pids()
    own = os.getpriority(os.PRIO_PROCESS, server.process.pid)  # 0, unless the tests themselves have a lower priority
    for pid in server.worker_pids():
        assert os.getpriority(os.PRIO_PROCESS, pid) == min(own + 10, 19)
        assert os.getsid(pid) == pid, "its niceness would count against the server alone"


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel does not group by session")
def test_the_kernel_weighs_the_session_so(server: Server) -> None:
    assert server.worker_pids()
    for pid in server.worker_pids():
        assert Path(f"/proc/{pid}/autogroup").read_text().split()[1:] == ["nice", "10"]
