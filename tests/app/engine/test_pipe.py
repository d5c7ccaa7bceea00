"""Lines of a worker: which ones are sent together, and that a worker whose server was killed ends without a word.

What it would say about its pipe is no news.
"""

import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from mhc_scope.engine import pipe
from mhc_scope.engine.pipe import AnswerWriter
from mhc_scope.engine.process import PIPE_BYTES, _enlarge

WORKER = """
import os, time
from mhc_scope.engine.pipe import AnswerWriter
reader, writer = os.pipe()
os.close(reader)
answers = AnswerWriter(os.fdopen(writer, "wb"))
{}
time.sleep(60)
"""


def check(sends: str) -> None:
    done = subprocess.run([sys.executable, "-c", WORKER.format(sends)], capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_at_once() -> None:
    check('answers.send(b"a line", is_last=True)')


def test_in_its_thread() -> None:
    check('answers._due = time.monotonic() + 0.2; answers.send(b"a line")')


def test_awaited_lines_are_sent_with_all_before_them_and_others_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "BATCH_S", 1.0)
    reader, writer = os.pipe()
    answers = AnswerWriter(os.fdopen(writer, "wb"))
    for _ in range(2):  # jobs of one worker
        begun = time.monotonic()
        answers.send(b"start ", is_awaited=True)
        assert os.read(reader, 100) == b"start "
        answers.send(b"first ")
        assert os.read(reader, 100) == b"first "
        assert time.monotonic() - begun < 0.5 * pipe.BATCH_S, "the first batch is sent soon"
        answers.send(b"layer ")
        answers.send(b"loss ", is_awaited=True)
        assert os.read(reader, 100) == b"layer loss "
        sent = time.monotonic()
        answers.send(b"layer ")
        assert os.read(reader, 100) == b"layer "
        assert time.monotonic() - sent > 0.9 * pipe.BATCH_S, "the time of a batch that was sent earlier is forgotten"
        answers.send(b"summary ")
        time.sleep(0.05)  # the thread waits for the time of the next batch, which must not delay the next job
        answers.send(b"end", is_last=True)
        assert os.read(reader, 100) == b"summary end"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such call")
def test_a_pipe_holds_the_lines_of_a_default_run() -> None:
    reader, writer = multiprocessing.Pipe(duplex=False)
    _enlarge(reader)
    os.set_blocking(writer.fileno(), False)
    assert os.write(writer.fileno(), bytes(PIPE_BYTES)) == PIPE_BYTES
