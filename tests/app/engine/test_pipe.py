"""A worker whose server was killed ends without a word: what it would say about its pipe is no news."""

import subprocess
import sys

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
