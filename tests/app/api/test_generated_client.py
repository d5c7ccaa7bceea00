"""A client that `openapi-python-client` generates from a running server's description: whole, and it works.

The generator lives in an environment of the test's own, so that what it needs never meets what the product needs. To
make the environment and the client takes 10 s of CPU time.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import Server

pytestmark = pytest.mark.full

GENERATOR = "openapi-python-client>=0.29,<0.30"
TIMEOUT_S = 300
SPEC: dict[str, Any] = {"depth": 5, "width": 16, "seed": 616, "connection": {"kind": "hc"}, "input": {"tokens": 16}}

# What a user of the client writes; runs beside the package `scope`.
SCRIPT = """
import json, sys
from pathlib import Path

from scope import Client
from scope.api.figures import get_figure
from scope.api.runs import get_result_csv, get_result_json, get_result_npz, get_run, stream_run, submit_run
from scope.models import Problem, RunSpec

api = Client(base_url=sys.argv[1], timeout=60)
submitted = submit_run.sync(client=api, body=RunSpec.from_dict(json.loads(sys.argv[2])))
frames = stream_run.sync(submitted.id, client=api)
run = get_run.sync(submitted.id, client=api)
missing = get_run.sync("nothing", client=api)
assert isinstance(missing, Problem), missing
Path("result.npz").write_bytes(get_result_npz.sync(submitted.id, client=api).payload.read())
print(json.dumps({
    "id": submitted.id,
    "frames": frames.count("event: forward"),
    "run": run.to_dict(),
    "figure": get_figure.sync(submitted.id, "gain", client=api).to_dict(),
    "result": get_result_json.sync(submitted.id, client=api).to_dict(),
    "csv": get_result_csv.sync(submitted.id, client=api),
    "problem": missing.detail,
}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the generator, and what a generated client needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    found = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", found, "install", "--quiet", "--disable-pip-version-check"]
    call([*pip, "--no-compile", GENERATOR], folder)
    return found


@pytest.fixture(scope="module")
def home(python: Path, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package `scope`, generated without a warning."""
    folder = tmp_path_factory.mktemp("generated")
    address = ["--url", f"{server.url}/openapi.json"]
    place = ["--output-path", folder / "scope", "--meta", "none"]
    call([python.parent / "openapi-python-client", "generate", "--fail-on-warning", *address, *place], folder)
    return folder


def call(command: list[Any], folder: Path) -> str:
    """What a command of the environment prints; ruff, which the generator calls, is found beside it."""
    environment = {**os.environ, "PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"}
    words = list(map(str, command))
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout.lower() + done.stderr.lower()
    return done.stdout


def test_every_operation_is_generated(home: Path, server: Server) -> None:
    paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    described = sorted(operation["operationId"] for methods in paths.values() for operation in methods.values())
    generated = sorted(path.stem for path in home.glob("scope/api/*/*.py") if path.stem != "__init__")
    assert generated == described


def test_it_fetches_a_run_a_figure_and_a_result(python: Path, home: Path, server: Server, client: httpx.Client) -> None:
    (home / "use.py").write_text(SCRIPT)
    told = json.loads(call([python, "use.py", server.url, json.dumps(SPEC)], home))
    run = f"/runs/{told['id']}"
    assert told["frames"] == SPEC["depth"] + 1, "the embedding's output and every layer"
    assert told["run"]["status"] == "done"
    assert told["run"]["spec"]["seed"] == SPEC["seed"]
    assert told["figure"] == client.get(f"{run}/figures/gain").json()
    assert told["result"] == client.get(f"{run}/result.json").json()
    assert told["csv"] == client.get(f"{run}/result.csv").text
    assert "nothing" in told["problem"]
    with np.load(home / "result.npz") as arrays:
        assert arrays["layers.act_rms"].tolist() == told["result"]["layers"]["act_rms"]
