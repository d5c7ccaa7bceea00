"""`--service` where what it needs is missing: refused in a sentence, before anything is served."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.full

# Runs the command line where modules of this name cannot be found.
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder
import importlib.util as util

found = util.find_spec
util.find_spec = lambda name, *rest: None if name == {name!r} else found(name, *rest)
from mhc_scope.cli import main
sys.exit(main(["serve", "--service", "--port", "0", "--data", {data!r}]))
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("limits", "--service needs limits: pip install 'mhc-scope[service]'"),
        ("mhc_service", "MHC_SERVICE, --service: no installed package provides the service (mhc_service)"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, name: str, said: str) -> None:
    code = WITHOUT.format(name=name, data=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (2, said)
