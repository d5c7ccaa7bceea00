"""A trace in a file: whole after the process was killed, and on a disk that is full."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mhc_core.record.container import read_frames as read_frames_of
from mhc_core.record.frames import AnyFrame
from mhc_core.record.result import Result
from mhc_probe import Monitor
from mhc_probe.monitor import seal
from tests.conftest import ROOT
from tests.probe.monitor.models import KINDS, Tiny, train
from tests.probe.monitor.test_monitor import read, read_frames

KILLED = """
import sys
from mhc_probe import Monitor
from tests.probe.monitor.models import Tiny, train
model = Tiny()
with Monitor(model, every=1, to=sys.argv[1], layers=model.blocks):
    train(model, 10**6)
"""

CASES = [
    pytest.param(name, rate, marks=[] if (name, rate) in (("tiny", 1e-3), ("deepseek", 1.0)) else [pytest.mark.full])
    for name in KINDS
    for rate in (1e-3, 1.0)
]

FULL = """
import logging, resource, sys
from mhc_probe import Monitor
from mhc_probe.monitor import destinations
from tests.probe.monitor.models import Tiny, train
destinations.PATIENCE_S = 3
logging.basicConfig()
model = Tiny()
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
with Monitor(model, every=1, to=sys.argv[1], layers=model.blocks) as monitor:
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, hard))
    losses = train(model, 12)
    print(losses[-1])
    if sys.argv[2] == "freed":
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.full
def test_a_killed_process_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "run.ndjson"
    process = start(KILLED, str(path))
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b'"type":"step"') < 5):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert path.read_bytes().endswith(b"\n")
    result = read(path)
    assert result.train_steps >= 5
    assert list(result.iterations.items()) == [(k, k) for k in range(result.train_steps)]
    seal(path, tmp_path / "run.mhct")
    frames = check(tmp_path / "run.mhct")
    assert [frame.type for frame in frames[-2:]] == ["summary", "end"]
    assert frames[-1].type == "end"
    assert frames[-1].status == "failed"
    sealed = Result.load(tmp_path / "run.mhct")
    np.testing.assert_array_equal(sealed.steps["step_loss"], result.steps["step_loss"])


@pytest.mark.full
@pytest.mark.parametrize("then", ["freed", pytest.param("full", marks=pytest.mark.full)])
def test_training_goes_on_while_the_disk_is_full(then: str, tmp_path: Path) -> None:
    path = tmp_path / "run.ndjson"
    output, errors = start(FULL, str(path), then).communicate(timeout=120)
    assert float(output) == train(Tiny(), 12)[-1]
    assert errors.count("File too large") == 1  # one warning, however often it was tried
    frames = read_frames(path)
    if then == "freed":
        assert [frame.iteration for frame in frames if frame.type == "step"] == [*range(12)]
        assert frames[-1].type == "end"
    else:
        assert path.stat().st_size <= 16_000
        steps = [frame.iteration for frame in frames if frame.type == "step"]
        assert 0 < len(steps) < 12
        assert steps == [*range(len(steps))]
        assert "observations of the trace were not delivered" in errors


def check(path: Path) -> list[AnyFrame]:
    """The frames of a container, as a server checks a trace that is posted to it."""
    with open(path, "rb") as file:
        return [*read_frames_of(file, only_traces=True)]


@pytest.mark.parametrize(("name", "rate"), CASES)
def test_a_trace_becomes_a_container_that_a_server_takes(name: str, rate: float, tmp_path: Path) -> None:
    """Also of a training that explodes, whose numbers are lost."""
    model = KINDS[name].build()
    with Monitor(model, every=2, to=tmp_path / "run.mhct", layers=KINDS[name].list_layers(model)) as monitor:
        train(model, 12, rate)
    assert [path.name for path in tmp_path.iterdir()] == ["run.mhct"]
    check(tmp_path / "run.mhct")
    result = Result.load(tmp_path / "run.mhct")
    assert [*result.iterations.values()] == [0, 2, 4, 6, 8, 10]
    alarms = [finding.text for finding in result.summary.findings if finding.key.startswith("alarm_")]
    assert alarms == [f"After {alarm.iteration} updates: {alarm.text}" for alarm in monitor.alarms]
    assert bool(alarms) == (rate == 1.0)


def test_lines_stay_where_no_container_can_be_made_of_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = Tiny()
    with Monitor(model, every=1, to=tmp_path / "run.mhct", layers=model.blocks):
        train(model, 2)
        (tmp_path / "run.mhct.part").mkdir()  # in the way of the file that is to be written
    assert read(tmp_path / "run.ndjson").train_steps == 2
    (record,) = caplog.records
    assert "run.mhct cannot be made of it" in record.getMessage()


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    for name in ("run.ndjson", "run-2.ndjson"):
        (tmp_path / name).write_text("mine")
    model = Tiny()
    with Monitor(model, to=[tmp_path / "run.ndjson"], layers=model.blocks):
        train(model, 1)
    assert (tmp_path / "run.ndjson").read_text() == "mine"
    assert read(tmp_path / "run-3.ndjson").train_steps == 1
