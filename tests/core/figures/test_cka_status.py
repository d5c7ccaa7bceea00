"""A map of CKA without numbers says why, on the page, over REST and in what is taken away."""

import csv
import io
import json
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import plotly.io
import pytest

from mhc_core import figures
from mhc_core.figures.difference import fill_difference
from mhc_core.figures.filling import fill
from mhc_core.figures.remarks import format_places
from mhc_core.measure.run import run
from mhc_core.record.codec import encode_end, encode_frame, from_typed_array
from mhc_core.record.frames import SimilarityFrame
from mhc_core.spec import parse_spec
from tests.conftest import compute
from tests.core.figures.filled import ROOT, decode_result, fill_in_page

SMALL: dict[str, Any] = {"depth": 6, "width": 8, "block": {"heads": 2}, "connection": {"kind": "hc"}}
CONSTANT = {**SMALL, "input": {"tokens": 8, "text": "a" * 40}}
LABELS = ["A constant", "B HC"]


def lines_of(spec: dict[str, Any], strip: bool = False) -> list[bytes]:
    """A run's lines; `strip` leaves out what runs of numerics 1 lacked."""
    frames = list(run(parse_spec(spec)))
    if strip:
        frames = [replace(frame, status=None) if isinstance(frame, SimilarityFrame) else frame for frame in frames]
    lines = [encode_frame(frame, "run", index) for index, frame in enumerate(frames)]
    return [*lines, encode_end("run", len(lines), "done", None)]


def notes(figure: dict[str, Any]) -> list[str]:
    """The page's remarks on matrices, whose first line is why."""
    return [item["text"] for item in figure["layout"]["annotations"] if "<br>" in item["text"]]


@pytest.mark.parametrize("difference", [False, True], ids=["as it is", "difference"])
def test_the_page_and_python_say_that_a_representation_is_constant(difference: bool) -> None:
    lines = [lines_of(CONSTANT), lines_of(SMALL)]
    template = figures.PANELS["cka"].build(2, figures.THEMES["dark"])
    results: list[Any] = [decode_result(part) for part in lines]
    (theirs,) = fill_in_page(template, lines, [2], labels=LABELS, difference=difference)
    assert notes(theirs) == ["constant over samples<br>from layer 1 on"]
    ours = (fill_difference if difference else fill)(template, results, LABELS, 2)
    (remark,) = ours["layout"]["meta"]["remarks"]
    assert remark.endswith(": constant over samples from layer 1 on")
    assert remark.startswith("B HC − A" if difference else "A constant")


def test_a_run_of_numerics_1_is_drawn_without_a_word() -> None:
    template = figures.PANELS["cka"].build(1, figures.THEMES["dark"])
    lines = [lines_of(CONSTANT, strip=True)]
    assert fill(template, [decode_result(lines[0])], LABELS, 2)["layout"]["meta"]["remarks"] == []
    assert notes(fill_in_page(template, lines, [2], labels=LABELS)[0]) == []


def test_layers_without_numbers_are_named() -> None:
    for lost, last_known, said in json.loads((ROOT / "tests" / "lost_rows.json").read_text()):
        assert format_places(lost, last_known) == said


def test_steps_without_numbers_are_called_as_their_trainer_calls_them() -> None:
    assert format_places([1, 2], 0, "step", [0, 100, 200]) == "from step 100 on"
    assert format_places([1], 2, "step", [0, 100, 200]) == "at step 100"


@pytest.mark.full
def test_figure_and_files_over_rest_carry_the_status(server: Any, client: httpx.Client) -> None:
    with httpx.Client(base_url=server.api, timeout=30) as http:
        run_id = compute(http, CONSTANT | {"seed": 977})
    figure = plotly.io.from_json(client.get(f"/runs/{run_id}/figures/cka").text)
    assert "constant over samples from layer 1 on" in figure.layout.title.subtitle.text
    whole = client.get(f"/runs/{run_id}/result.json?arrays=packed").json()
    assert whole["status"]["cka"] == {str(layer): "constant" for layer in range(6)}
    assert np.isnan(from_typed_array(whole["matrices"]["cka"])).all()
    table = list(csv.DictReader(io.StringIO(client.get(f"/runs/{run_id}/result.csv").text)))
    assert [row["cka.status"] for row in table] == ["constant"] * 6
    with np.load(io.BytesIO(client.get(f"/runs/{run_id}/result.npz").content)) as arrays:
        assert np.isnan(arrays["matrices.cka"]).all()
        assert json.loads(arrays["meta"].tobytes())["status"]["cka"]["0"] == "constant"
