"""A connection of another package: `examples/connection` is installed, and a server runs, draws and checks it."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.app.added import EXAMPLES, install_example, run_app, serve_with
from tests.app.api.test_verify import verify
from tests.conftest import Server, compute

pytestmark = pytest.mark.full

BOOT = re.compile(r'<script type="application/json" id="boot">(.*?)</script>', re.DOTALL)
SPEC: dict[str, Any] = {"depth": 4, "width": 16, "input": {"tokens": 16}, "seed": 11}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_example("connection", tmp_path_factory)


@pytest.fixture(scope="module")
def server_with_rotation(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve_with(installed, tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def http(server_with_rotation: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server_with_rotation.api, timeout=60) as client:
        yield client


@pytest.mark.parametrize("dynamic", [False, True])
def test_an_installed_connection_is_computed_and_every_check_of_it_holds(http: httpx.Client, dynamic: bool) -> None:
    init = "deepseek_v4" if dynamic else "residual"
    run_id = compute(http, {**SPEC, "connection": {"kind": "rotation", "dynamic": dynamic, "init": init}})
    columns = http.get(f"/runs/{run_id}/result").json()
    assert np.isfinite(np.array(columns["layers"]["composite_gain_fwd"], dtype=float)).all()
    h_res = np.array(columns["matrices"]["h_res"])
    assert h_res.shape == (4, 4, 4)
    assert h_res.min() < 0
    if not dynamic:  # else it is a mean over tokens
        np.testing.assert_allclose(h_res @ h_res.transpose(0, 2, 1), np.broadcast_to(np.eye(4), (4, 4, 4)), atol=1e-6)
    body = verify(http, run_id)
    assert body["verdict"] == "holds", body["summary"]
    laws = {check["law"] for check in body["checks"]}
    assert {"recomputation", "map_pre", "map_post", "map_res"} <= laws
    assert not laws & {"rows_exact", "doubly_stochastic", "drift_gain"}


def test_an_installed_connection_has_costs_figures_and_a_place_in_the_schema(http: httpx.Client) -> None:
    spec = {**SPEC, "connection": {"kind": "rotation", "dynamic": True}}
    costs = {cost["connection"]: cost for cost in http.post("/costs", json=spec).json()}
    assert costs["rotation"]["parameters"] == costs["orthostochastic"]["parameters"]
    assert costs["rotation"]["flops"] > costs["orthostochastic"]["flops"]  # which declares no operations
    kinds = http.get("/schema").json()["$defs"]["ConnectionSpec"]["properties"]["kind"]["enum"]
    assert kinds[-1] == "rotation"
    figure = http.get(f"/runs/{compute(http, spec)}/figures/gain")
    assert figure.status_code == 200, figure.text
    assert "Rotation" in figure.text


def test_the_page_has_the_installed_connection(server_with_rotation: Server) -> None:
    found = BOOT.search(httpx.get(server_with_rotation.url).text)
    assert found is not None
    rules = json.loads(found[1])["rules"]
    assert rules["connections"]["rotation"]["name"] == "Rotation"
    assert rules["methods"]["rotation"]["light"][0] == "#af67e6"
    assert "rotation" in rules["dynamic"]["kinds"]
    assert "rotation" not in rules["derivation"]["maps"]  # the page waits for the server


def test_a_flag_adds_a_connection_of_a_module_for_one_process(tmp_path: Path) -> None:
    # Only the module: `pip install .` in the example leaves metadata with its entry point in that folder.
    shutil.copy(EXAMPLES / "connection" / "mhc_scope_rotation.py", tmp_path)
    assert '"rotation"' not in run_app(tmp_path, "schema").stdout
    done = run_app(tmp_path, "schema", "--connection", "mhc_scope_rotation:FAMILY")
    assert (done.returncode, done.stderr) == (0, "")
    assert '"rotation"' in done.stdout


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("", "cannot be loaded: AttributeError: module 'mhc_scope_rotation' has no attribute 'FAMILY'"),
        ("FAMILY = 1", "is a int, not a mhc_core.family.Family."),
        ("import not_there", "cannot be loaded: ModuleNotFoundError: No module named 'not_there'"),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_named(installed: Path, tmp_path: Path, module: str, said: str) -> None:
    shutil.copytree(installed, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "mhc_scope_rotation.py").write_text(module)
    done = run_app(tmp_path, "schema")
    assert (done.returncode, done.stdout) == (2, "")
    start = "Entry point rotation = mhc_scope_rotation:FAMILY of the group mhc_scope.connections "
    assert done.stderr == f"{start}{said}\n"


def test_a_second_connection_of_a_kind_is_refused(installed: Path) -> None:
    done = run_app(installed, "schema", "--connection", "mhc_scope_rotation:FAMILY")
    assert done.returncode == 2
    assert done.stderr == "Two connections are called 'rotation': rename the one of your package.\n"
