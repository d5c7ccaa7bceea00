"""A dozen numbers for other people's writers: one that writes TensorBoard's files, and one in the manner of W&B."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mhc_probe import Monitor
from tests.probe.monitor.models import KINDS, Tiny, train
from tests.probe.monitor.test_monitor import read

pytestmark = pytest.mark.full

OF_ALL = {
    *("loss", "grad_norm", "learning_rate", "activation", "activation_growth", "gradient_first_to_last", "alarms"),
}
OF_STREAMS = {"gain_forward", "gain_backward", "sum_error", "stream_share", "stream_cosine"}


def read_events(folder: Path) -> list[tuple[int, str, float]]:
    """Step, tag and value of every scalar in an event file: records of a length, its checksum, data, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = folder.glob("events*")
    data, found, place = path.read_bytes(), [], 0
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        event = Event.FromString(data[place + 12 : place + 12 + length])
        found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
        place += 12 + length + 4
    return found


@pytest.mark.parametrize(("name", "keys"), [("tiny", OF_ALL), ("deepseek", OF_ALL | OF_STREAMS)])
def test_tensorboard(name: str, keys: set[str], tmp_path: Path) -> None:
    from tensorboardX import SummaryWriter

    model, path = KINDS[name].build(), tmp_path / "run.ndjson"
    with SummaryWriter(str(tmp_path / "board")) as writer:
        to = [writer, path]
        with Monitor(model, every=2, to=to, layers=KINDS[name].list_layers(model)):
            train(model, 5)
    events = read_events(tmp_path / "board")
    assert len(keys) <= 12
    assert {tag for _, tag, _ in events} == {f"mhc/{key}" for key in keys}
    table = {(step, tag.removeprefix("mhc/")): value for step, tag, value in events}
    assert len(table) == len(events) == 3 * len(keys)
    result = read(path)
    for step, iteration in result.iterations.items():
        steps = {key: column[step] for key, column in result.steps.items()}
        wanted = {
            "loss": steps["step_loss"],
            "grad_norm": steps["step_grad_norm"],
            "learning_rate": steps["step_lr"],
            "activation": np.log10(steps["step_act_rms"][-1]),
            "activation_growth": np.log10(steps["step_act_rms"][-1] / steps["step_act_rms"][0]),
            "gradient_first_to_last": np.log10(steps["step_grad_rms"][0] / steps["step_grad_rms"][-1]),
        }
        if name == "deepseek":
            sizes, h_res = result.kept["step_act_rms_streams"][step][-1] ** 2, result.kept["step_h_res"][step]
            wanted |= {
                "gain_backward": np.log10(steps["step_gain_bwd"].max()),
                "stream_share": sizes.max() / sizes.sum(),
                "sum_error": max(abs(h_res.sum(1) - 1).max(), abs(h_res.sum(2) - 1).max()),
                "stream_cosine": result.kept["step_stream_cos"][step][-1],
            }
        for key, value in wanted.items():
            assert table[iteration, key] == pytest.approx(value, rel=1e-4, abs=1e-6), key


class Run:
    """As a run of W&B: it counts its own steps, and may be told by which number others are drawn."""

    def __init__(self, is_away: bool = False) -> None:
        self.is_away = is_away
        self.logged: list[dict[str, float]] = []
        self.defined: list[tuple[str, str]] = []

    def define_metric(self, name: str, step_metric: str) -> None:
        self.defined.append((name, step_metric))

    def log(self, data: dict[str, Any]) -> None:
        if self.is_away:
            raise ConnectionError("no network")
        self.logged.append(data)


def test_weights_and_biases() -> None:
    run, model = Run(), Tiny()
    with Monitor(model, every=2, to=run, layers=model.blocks):
        losses = train(model, 5)
    assert run.defined == [("mhc/*", "mhc/iteration")]
    assert [row["mhc/iteration"] for row in run.logged] == [0, 2, 4]
    assert [row["mhc/loss"] for row in run.logged] == pytest.approx([losses[k] for k in (0, 2, 4)])


def test_a_writer_that_fails_does_not_stop_training(caplog: pytest.LogCaptureFixture) -> None:
    run, model = Run(is_away=True), Tiny()
    with Monitor(model, every=1, to=run, layers=model.blocks):
        assert train(model, 3) == train(Tiny(), 3)
    assert [record.getMessage() for record in caplog.records] == [
        "Run accepts no numbers; training continues: no network"
    ]


def test_numbers_that_are_lost_are_left_out() -> None:
    run, model = Run(), Tiny()
    with Monitor(model, every=1, to=run, layers=model.blocks):
        train(model, 1)
        with np.errstate(all="ignore"):
            model.head.weight.data.fill_(float("nan"))
        train(model, 1)
    assert "mhc/loss" in run.logged[0]
    assert "mhc/loss" not in run.logged[1]
    assert run.logged[1]["mhc/alarms"] > 0
    assert all(np.isfinite(value) for row in run.logged for value in row.values())
