"""Records that ship with the package: complete, of this version, and as new runs would give them."""

import contextlib
import sqlite3
import time

import httpx
import numpy as np
import pytest

from mhc_core.findings import summarise
from mhc_core.measure.run import run
from mhc_core.record import codec
from mhc_core.record.frames import StartFrame, StepFrame
from mhc_core.spec import NUMERICS_VERSION, run_spec
from mhc_core.spec.run_spec import RunSpec
from mhc_scope.presets import BY_NAME, PRESETS
from mhc_scope.presets.opening import OPENING
from mhc_scope.presets.records import FOLDER, SPECS, read_record, read_result, to_path
from tests.conftest import StartServer
from tests.core.conftest import measure

MAX_BYTES = 7_000_000  # every install carries them; no visitor waits for them
# Float32 sums differ in their last digits from one processor to the next, and training amplifies that.
CLOSE, FIRST_STEPS, CLOSE_TRAINED = 2e-3, 3, 0.1
QUICK = {spec.id for spec in OPENING.specs[1:]}
# Columns of what rounding leaves of a sum or a gradient, by the beginning of their names.
ROUNDING = ("ds_error", "mixing_grad", "mixing_signal")
by_id = pytest.mark.parametrize("run_id", SPECS)


def test_every_run_of_every_preset_has_a_record_and_no_other_file_is_there() -> None:
    """`python -m mhc_scope.presets.records` brings the folder up to date."""
    wanted = {spec.id for preset in (OPENING, *PRESETS) for spec in preset.specs}
    assert SPECS.keys() == wanted
    assert set(FOLDER.iterdir()) == {to_path(spec) for spec in SPECS.values()}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= MAX_BYTES


@pytest.mark.sample(8)
@by_id
def test_a_record_names_its_spec_its_numerics_and_its_device(run_id: str) -> None:
    lines = read_record(run_id)
    assert lines is not None
    start = codec.decode_line(lines[0])
    assert isinstance(start, StartFrame)
    assert start.spec == SPECS[run_id].canonical()
    assert start.versions.numerics == NUMERICS_VERSION
    assert start.device.type == "cpu"
    assert start.device.name
    assert [codec.frame_type(line) for line in (lines[0], lines[-1])] == ["start", "summary"]
    assert all(line.endswith(b"\n") for line in lines)


@pytest.mark.sample(6)
@by_id
def test_a_record_says_what_this_version_finds_in_its_columns(run_id: str) -> None:
    """Where this fails, the findings were changed: `python -m mhc_scope.presets.records --all`."""
    stored = read_result(run_id)
    found = summarise(SPECS[run_id], stored)
    assert stored.summary.headline.text == found.headline.text
    said, now = (
        {item.key: (item.text, item.statement) for item in summary.findings} for summary in (stored.summary, found)
    )
    if said.pop("resolution", None):  # of a second pass, which replaces the sentence on the gradient
        now.pop("gradient", None)
    assert said == now


def train_first_steps(spec: RunSpec) -> list[float]:
    """Losses of the first steps of a new run, which ends with them."""
    losses: list[float] = []
    for frame in run(spec):
        if isinstance(frame, StepFrame):
            losses.append(frame.values["step_loss"])
            if len(losses) == FIRST_STEPS:
                break
    return losses


def list_cases() -> list[object]:
    """All runs, the cheapest first; those with no setting of their own are left to `make trials`."""
    cases, seen = list[object](), set[tuple[str, object]]()
    for spec in sorted(SPECS.values(), key=lambda spec: spec.depth * spec.width**2 * spec.input.batch):
        settings: set[tuple[str, object]] = {
            *((name, getattr(spec.block, name)) for name in type(spec.block).model_fields),
            *(("connection", name) for name in (spec.connection.init, (spec.connection.kind, spec.connection.dynamic))),
            ("input", spec.input.kind), ("type", spec.dtype),
            ("trains", spec.train.steps > 0), ("seeds", spec.seeds > 1),
            *(("edit", edit.what) for edit in spec.edits),
        }  # fmt: skip
        left_to = [] if spec.id in QUICK else [pytest.mark.trial if settings <= seen else pytest.mark.full]
        cases.append(pytest.param(spec.id, marks=left_to))
        seen |= settings
    return cases


@pytest.mark.parametrize("run_id", list_cases())
def test_a_record_is_that_of_a_new_run(run_id: str) -> None:
    spec, stored = SPECS[run_id], read_result(run_id)
    if spec.train.steps:  # where training is unstable, another processor soon gives another curve
        np.testing.assert_allclose(stored.steps["step_loss"][:FIRST_STEPS], train_first_steps(spec), rtol=CLOSE_TRAINED)
        return
    new = measure(spec)
    assert stored.layers.keys() == new.layers.keys()
    # Attention without norms amplifies rounding until only sizes are the same on each processor; Verify knows how much.
    is_unstable = (spec.block.kind, spec.block.norm_position) == ("transformer", "none")
    for key in ["act_rms"] if is_unstable else [key for key in new.layers if not key.startswith(ROUNDING)]:
        if key in new.layers_log10:
            np.testing.assert_allclose(stored.layers_log10[key], new.layers_log10[key], atol=CLOSE, err_msg=key)
        else:
            np.testing.assert_allclose(stored.layers[key], new.layers[key], rtol=2 * CLOSE, atol=CLOSE, err_msg=key)
    weights = "h_res" if spec.family.has_mixing else "unfolded"
    np.testing.assert_allclose(stored.matrices[weights], new.matrices[weights], rtol=CLOSE, atol=CLOSE)


def test_a_record_of_other_numerics_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = OPENING.specs[1]
    assert read_record(spec.id) is not None
    monkeypatch.setattr(run_spec, "NUMERICS_VERSION", NUMERICS_VERSION + 1)
    assert read_record(spec.id) is None


def test_a_fresh_server_has_the_results_of_a_preset_without_computing(launch: StartServer) -> None:
    server = launch("--precompute", ready="/livez")
    preset = BY_NAME["mhc_fig_2"]
    with httpx.Client(base_url=server.api, timeout=60) as http:
        posted = http.post("/runs/compare", json=[spec.canonical() for spec in preset.specs])
        assert posted.status_code == 200
        assert [run["status"] for run in posted.json()] == ["done"] * 3
        assert all(run["cost"]["flops"] > 0 for run in posted.json())
        run = http.get(f"/runs/{preset.specs[1].id}").json()
        start = codec.decode_line(read_record(preset.specs[1].id)[0])  # type: ignore[index]
        assert run["device"] == codec.to_plain(start.device)  # type: ignore[union-attr]
        assert run["timings"]["run_s"] is None
        found = http.get(f"/runs/{BY_NAME['digits'].specs[0].id}").json()
        assert (found["status"], found["spec"]["input"]["kind"]) == ("done", "digits"), "requested by its id alone"


def test_the_page_of_a_preset_stores_its_records_before_they_are_requested(launch: StartServer) -> None:
    server, preset = launch("--precompute", ready="/livez"), BY_NAME["trained"]
    assert "/p/trained/picture.png" in httpx.get(f"{server.url}/p/trained").text
    wanted, stored, end = {spec.id for spec in preset.specs}, set[str](), time.monotonic() + 60
    while not wanted <= stored and time.monotonic() < end:
        with contextlib.closing(sqlite3.connect(server.data / "mhc-scope.db")) as database:
            stored = {run_id for (run_id,) in database.execute("SELECT id FROM runs WHERE status = 'done'")}
        time.sleep(0.1)
    assert wanted <= stored


def test_a_server_without_shipped_records_computes(client: httpx.Client) -> None:
    assert RunSpec().id in SPECS
    preset = BY_NAME["gpt"]
    assert client.get(f"/runs/{preset.specs[0].id}").status_code == 404
    assert client.post("/runs", json=preset.specs[0].canonical()).status_code == 202
