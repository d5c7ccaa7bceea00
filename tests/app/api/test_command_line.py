"""The command line and the server compute the same result under the same id."""

import json
from pathlib import Path

import httpx
import pytest

from tests.conftest import Call, compute
from tests.core.drawn import draw_written_out

pytestmark = pytest.mark.full

SPECS = 5


def test_both_write_the_same_file_for_random_specs(http: httpx.Client, call: Call, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    for spec in draw_written_out(0, SPECS):
        done = call("run", "-", "--out", str(out), stdin=spec.model_dump_json())
        assert done.returncode == 0, done.stderr
        run_id = compute(http, spec.model_dump())
        assert run_id == spec.id
        assert json.loads(out.read_text()) == http.get(f"/runs/{run_id}/result.json").json(), spec.model_dump_json()
