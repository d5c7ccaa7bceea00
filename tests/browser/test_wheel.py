"""The product as others install it: a wheel, in an environment of its own, run far from the checkout.

`MHC_TEST_VENV` names an environment of another Python, empty but for torch, which is large. Tests put the wheel there,
too, with what pip installs for it.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from playwright.sync_api import Browser, expect

from mhc_core.record.result import Result
from tests.browser.conftest import Watch, load_page
from tests.conftest import ROOT, START_S
from tests.ports import free_port
from tests.probe.checkpoint.stored import draw_connections, write_file

pytestmark = pytest.mark.full

MAX_BYTES = 10e6
DEPTH = 4
SPEC = json.dumps({"depth": DEPTH, "width": 16, "input": {"tokens": 16}})
TIMEOUT_S = 280


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel of the checkout, and that of the source distribution."""
    built, unpacked = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("from-sdist")
    _run([sys.executable, "-m", "build", "--sdist", "--outdir", str(built), str(ROOT)], built)
    pip_wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    _run([*pip_wheel, "--wheel-dir", str(built), str(ROOT)], built)
    _run([*pip_wheel, "--wheel-dir", str(unpacked), str(next(built.glob("*.tar.gz")))], unpacked)
    return next(built.glob("*.whl")), next(unpacked.glob("*.whl"))


@pytest.fixture(scope="module", params=["this Python", "another Python"])
def place(wheels: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder with a spec, and with an environment in which nothing but the wheel is installed, and what it needs."""
    folder = tmp_path_factory.mktemp("elsewhere")
    # Bytecode is made as it is needed: of torch's, little is. The pip of these tests is faster than that of a new venv.
    pip = [sys.executable, "-m", "pip", "--python", "venv/bin/python", "install", "--quiet", "--no-compile"]
    if request.param == "this Python":
        _run([sys.executable, "-m", "venv", "--without-pip", "venv"], folder)
        _link_needed(next(folder.glob("venv/lib/python*/site-packages")))
    elif other := os.environ.get("MHC_TEST_VENV"):
        (folder / "venv").symlink_to(Path(other).resolve())
        _run([*pip, "--constraint", str(ROOT / "constraints.txt"), str(wheels[0])], folder)
    else:
        pytest.skip("MHC_TEST_VENV names no environment of another Python")
    _run([*pip, "--force-reinstall", "--no-deps", str(wheels[0])], folder)  # where one of the same version was there
    (folder / "spec.json").write_text(SPEC)
    return folder


def _link_needed(folder: Path) -> None:
    """Link the packages that the wheel requires, and those that they require; no others: pip would copy 0.8 GB."""
    waiting, seen = ["mhc-scope"], set[str]()
    while waiting:
        if (name := waiting.pop()) in seen:
            continue
        seen.add(name)
        package = distribution(name)
        needed = [Requirement(text) for text in package.requires or ()]
        waiting += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
        tops = {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}
        for top in tops if name != "mhc-scope" else ():
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(package.locate_file(top))).resolve())


@pytest.fixture(scope="module")
def served(place: Path) -> Iterator[str]:
    """The address of a server that was started there."""
    url = f"http://127.0.0.1:{free_port()}"
    command = ["venv/bin/mhc-scope", "serve", "--port", url.rpartition(":")[2], "--data", "data", "--no-precompute"]
    with (place / "server.log").open("wb") as log, subprocess.Popen(command, cwd=place, stderr=log) as process:
        _wait_until_ready(url, process)
        yield url
        process.terminate()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.1)
    process.kill()
    raise AssertionError("the server did not become ready")


def _run(command: list[str], folder: Path) -> str:
    # What this process was told of its own modules is no matter of theirs.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_wheel_is_small_and_the_same_from_the_source_distribution(wheels: tuple[Path, Path]) -> None:
    ours, theirs = (
        {name: archive.read(name) for name in archive.namelist()} for archive in map(zipfile.ZipFile, wheels)
    )
    assert ours == theirs
    assert wheels[0].stat().st_size <= MAX_BYTES
    carried = {f"mhc_scope/carried/{path}" for path in ("templates/index.html", "static/js/app.js")}
    added = {f"mhc_service/{path}" for path in ("templates/room.html", "static/index.js")}
    assert carried | added <= set(ours)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in ours)


def test_the_core_is_there_without_torch(place: Path) -> None:
    found = _run(
        ["venv/bin/python", "-c", "import sys, mhc_core; print(mhc_core.__file__, 'torch' in sys.modules)"], place
    )
    where, has_torch = found.split()
    assert has_torch == "False"
    assert Path(where).resolve().is_relative_to((place / "venv").resolve())


def test_the_commands_run(place: Path) -> None:
    assert json.loads(_run(["venv/bin/mhc-scope", "schema"], place))["title"] == "RunSpec"
    _run(["venv/bin/mhc-scope", "run", "spec.json", "--out", "result.json"], place)
    assert len(json.loads((place / "result.json").read_text())["layers"]["act_rms"]) == DEPTH
    assert _run(["venv/bin/mhc-scope", "verify", "spec.json"], place).count("holds") > 3


def test_a_checkpoint_is_read(place: Path) -> None:
    write_file(place / "model.safetensors", draw_connections(2))
    said = _run(["venv/bin/mhc-scope", "trace", "model.safetensors", "--out", "model.mhct"], place)
    findings, table = said.split("\n\n", 1)
    assert findings.splitlines() == [finding.text for finding in Result.load(place / "model.mhct").summary.findings]
    assert [line.split()[0] for line in table.splitlines()[:3]] == ["layer", "1", "2"]


def test_a_connection_is_checked(place: Path) -> None:
    (place / "theirs.py").write_text((ROOT / "tests" / "probe" / "conformance" / "plain.py").read_text())
    said = _run(["venv/bin/mhc-scope", "check", "theirs:PlainMHC"], place)
    assert re.search(r"^All \d{2} checks hold\.", said, re.MULTILINE), said


def test_the_page_works(served: str, browser: Browser) -> None:
    watch, context = Watch(served), browser.new_context()
    page = load_page(context, watch)
    expect(page.locator("[data-panel=gain] .plot .main-svg").first).to_be_visible()
    context.close()
    watch.check()


def test_pictures_of_links_are_drawn_with_the_font_that_it_carries(served: str) -> None:
    answer = httpx.get(f"{served}/picture.png", timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
