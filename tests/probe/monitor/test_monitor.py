"""A model under a monitor: what is observed, when, and that the model does not feel it."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mhc_core.figures import PANELS, figure
from mhc_core.record.codec import decode_line
from mhc_core.record.frames import AnyFrame
from mhc_core.record.result import Result
from mhc_core.spec import SpecError
from mhc_probe import Monitor, attach
from tests.probe.attach.attachable import norm
from tests.probe.monitor.models import KINDS, NAMES, Tiny, build_optimizer, draw_batches, train

STEP_TO_PASS = {
    "step_act_rms": "act_rms",
    "step_grad_rms": "grad_rms",
    "step_param_grad_norm": "param_grad_norm",
    "step_gain_bwd": "composite_gain_bwd",
}


def read_frames(path: Path) -> list[AnyFrame]:
    return [decode_line(line) for line in path.read_bytes().splitlines()]


def read(path: Path) -> Result:
    result = Result()
    for frame in read_frames(path):
        result.add(frame)
    return result


def count_hooks(model: nn.Module) -> int:
    tables = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooks = sum(len(getattr(module, table)) for module in model.modules() for table in tables)
    return hooks + sum(len(parameter._backward_hooks or ()) for parameter in model.parameters())


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", NAMES)
def test_training_has_the_same_bits_with_the_monitor(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    alone, watched = kind.build(), kind.build()
    wanted = train(alone, 7)
    with Monitor(watched, every=3, to=tmp_path / "run.ndjson", layers=kind.list_layers(watched)):
        found = train(watched, 7)
    assert found == wanted
    for one, other in zip(watched.parameters(), alone.parameters(), strict=True):
        assert torch.equal(one, other)
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None and other.grad is not None:
            assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("name", ["tiny", "deepseek"])
def test_each_observation_is_what_the_probe_hears_of_that_pass(name: str, tmp_path: Path) -> None:
    """Compared with a model that was trained as far without a monitor, and then probed once."""
    kind = KINDS[name]
    model = kind.build()
    with Monitor(model, every=3, to=tmp_path / "run.ndjson", layers=kind.list_layers(model)):
        losses = train(model, 7)
    result = read(tmp_path / "run.ndjson")
    inputs = [frame.input or {} for frame in read_frames(tmp_path / "run.ndjson") if frame.type == "step"]
    assert result.iterations == {0: 0, 1: 3, 2: 6}
    np.testing.assert_allclose(result.steps["step_loss"], [losses[k] for k in (0, 3, 6)], rtol=1e-6)
    np.testing.assert_array_equal(result.steps["step_lr"], 1e-3)
    for step, iteration in result.iterations.items():
        other, batches = kind.build(), draw_batches()
        train(other, iteration)
        for _ in range(iteration):
            next(batches)
        with attach(other, kind.list_layers(other)) as probe:
            other.zero_grad()
            other(**next(batches)).loss.backward()
        alone = probe.result()
        norm = nn.utils.clip_grad_norm_(other.parameters(), 1e9)
        assert result.steps["step_grad_norm"][step] == pytest.approx(float(norm), rel=1e-5)
        for key, source in STEP_TO_PASS.items():
            np.testing.assert_allclose(result.steps[key][step], alone.layers[source], rtol=1e-6)
        np.testing.assert_array_equal(result.kept["step_h_res"][step], alone.matrices["h_res"])
        np.testing.assert_array_equal(result.kept["step_unfolded"][step], alone.matrices["unfolded"])
        before = inputs[step]
        for key in ("act_rms_streams", "grad_rms_streams"):
            np.testing.assert_allclose(before[key], alone.input[key], rtol=1e-6)
        if step == max(result.iterations):
            np.testing.assert_allclose(result.layers["grad_rms_streams"], alone.layers["grad_rms_streams"], rtol=1e-6)
    assert result.loss_untrained == pytest.approx(losses[0], rel=1e-6)
    assert result.loss == pytest.approx(losses[6], rel=1e-6)


def test_frames_come_in_the_order_of_a_run_that_trains(tmp_path: Path) -> None:
    model = Tiny()
    with Monitor(model, every=2, to=tmp_path / "run.ndjson", layers=model.blocks):
        train(model, 5)
    frames = read_frames(tmp_path / "run.ndjson")
    one_pass = ["forward", *["forward", "similarity"] * 4, "loss", *["backward"] * 5, "mixing"]
    assert [frame.type for frame in frames] == ["start", *one_pass, *["step"] * 3, *one_pass, "summary", "end"]
    assert [frame.step for frame in frames if frame.type == "step"] == [0, 1, 2]
    assert {getattr(frame, "step", 3) for frame in frames[-len(one_pass) - 2 :]} == {3}
    lines = (tmp_path / "run.ndjson").read_bytes().splitlines()
    assert all(f'"index":{index},'.encode() in line for index, line in enumerate(lines))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A DeepSeek-V4 through five updates."""
    path, model = tmp_path_factory.mktemp("watched") / "run.ndjson", KINDS["deepseek"].build()
    with Monitor(model, every=2, to=path):
        train(model, 5)
    return read(path)


@pytest.mark.full
def test_every_panel_can_be_drawn(watched: Result) -> None:
    for key in PANELS.keys() - {"theory", "effect", "gates"}:
        drawn = figure(key, [watched], ["DeepSeek-V4"], 2, "light")
        assert [trace for trace in drawn.data if trace.visible is not False], key


def test_between_observations_nothing_is_hooked() -> None:
    model, batches = Tiny(), draw_batches()
    optimizer, hooks = build_optimizer(model), []
    with Monitor(model, every=3, layers=model.blocks):
        for _ in range(7):
            hooks.append(count_hooks(model))
            model(**next(batches)).loss.backward()
            optimizer.step()
        hooks.append(count_hooks(model))
    assert [number > 0 for number in hooks] == [True, False, False, True, False, False, True, False]
    assert count_hooks(model) == 0


def test_an_evaluation_goes_by_unheard() -> None:
    model, batches = Tiny(), draw_batches()
    optimizer, recorded = build_optimizer(model), []
    with Monitor(model, every=1, layers=model.blocks) as monitor:
        for _ in range(2):
            with torch.no_grad():
                model(**next(batches))
            loss = model(**next(batches)).loss
            with torch.inference_mode():
                model(**next(batches))
            loss.backward()
            optimizer.step()
            assert monitor.last is not None
            recorded.append((monitor.last.result.loss, float(loss.detach()), "grad_rms" in monitor.last.result.layers))
    assert recorded == [(pytest.approx(loss), loss, True) for _, loss, _ in recorded]


def test_accumulated_passes_count_as_one() -> None:
    """Compared with one pass of all their samples."""
    model, other, batches, again = Tiny(), Tiny(), draw_batches(), draw_batches()
    optimizer = build_optimizer(model)
    with Monitor(model, every=1, layers=model.blocks) as monitor:
        for _ in range(3):
            (model(**next(batches)).loss / 3).backward()
        optimizer.step()
    parts = [next(again) for _ in range(3)]
    with attach(other, other.blocks) as probe:
        other(**{key: torch.cat([part[key] for part in parts]) for key in parts[0]}).loss.backward()
    assert monitor.last is not None
    found, wanted = monitor.last.result, probe.result()
    for key in ("act_rms", "branch_out_rms", "grad_rms", "param_grad_norm"):
        np.testing.assert_allclose(found.layers[key], wanted.layers[key], rtol=1e-5, err_msg=key)
    assert found.loss == pytest.approx(wanted.loss, rel=1e-5)
    assert monitor.last.grad_norm == pytest.approx(float(nn.utils.clip_grad_norm_(other.parameters(), 1e9)), rel=1e-5)


@pytest.mark.sample(4)
@pytest.mark.parametrize("when", ["before", "between", "to zero"])
def test_gradients_of_the_update_before_are_left_out(when: str, tmp_path: Path) -> None:
    """They are set to none, or to zero, before the pass or between the pass and its way down."""
    model, other, batches, again = Tiny(), Tiny(), draw_batches(), draw_batches()
    optimizer, rival = build_optimizer(model), build_optimizer(other)
    with Monitor(model, every=1, layers=model.blocks) as monitor:
        for _ in range(3):
            if when == "before":
                optimizer.zero_grad()
            loss = model(**next(batches)).loss
            if when != "before":
                optimizer.zero_grad(set_to_none=when == "between")
            loss.backward()
            optimizer.step()
            rival.zero_grad()
            other(**next(again)).loss.backward()
            wanted = [norm(block.parameters()) for block in other.blocks]
            rival.step()
            assert monitor.last is not None
            np.testing.assert_allclose(monitor.last.result.layers["param_grad_norm"], wanted, rtol=1e-5)


@pytest.mark.full
def test_a_copy_and_a_file_of_the_model_are_without_the_monitor(tmp_path: Path) -> None:
    model, batches = Tiny(), draw_batches()
    with Monitor(model, layers=model.blocks) as monitor:
        twin = deepcopy(model)
        torch.save(model, tmp_path / "model.pt")
        stored = torch.load(tmp_path / "model.pt", weights_only=False)
        for other in (twin, stored):
            other(**next(batches)).loss.backward()
            build_optimizer(other).step()
        assert (monitor.iteration, monitor.last) == (0, None)
        assert count_hooks(model) == 1


@pytest.mark.full
def test_a_pass_that_breaks_off_is_not_heard() -> None:
    model, batches = Tiny(), draw_batches()
    optimizer = build_optimizer(model)
    with Monitor(model, every=1, layers=model.blocks) as monitor:
        with pytest.raises(IndexError):
            model(input_ids=torch.tensor([[VERY_LARGE]]), labels=torch.tensor([[0]]))
        handle = model.blocks[2].register_forward_pre_hook(_break_off)
        with pytest.raises(MemoryError):
            model(**next(batches))
        handle.remove()
        loss = model(**next(batches)).loss
        loss.backward()
        optimizer.step()
        assert monitor.last is not None
        assert monitor.last.result.loss == pytest.approx(float(loss.detach()))


VERY_LARGE = 10**6


def _break_off(module: Any, inputs: Any) -> None:
    raise MemoryError


@pytest.mark.full
@pytest.mark.parametrize("when", ["before", "given", "in place", "late"])
def test_a_compiled_model_runs_as_written_while_it_is_heard(when: str, tmp_path: Path) -> None:
    model: Any = Tiny()
    called, wanted = model, train(Tiny(), 7)
    if when == "in place":
        model.compile(backend="eager")
    elif when != "late":
        called = torch.compile(model, backend="eager")
    target = called if when == "given" else model
    with Monitor(target, every=3, to=tmp_path / "run.ndjson", layers=model.blocks):
        if when == "late":
            called = torch.compile(model, backend="eager")
        assert train(called, 7) == wanted
    result = read(tmp_path / "run.ndjson")
    assert result.iterations == {0: 0, 1: 3, 2: 6}
    np.testing.assert_allclose(result.steps["step_loss"], [wanted[k] for k in (0, 3, 6)], rtol=1e-6)
    assert np.isfinite(result.steps["step_grad_rms"]).all()
    torch.compiler.reset()


@pytest.mark.full
def test_updates_are_counted_of_one_optimiser_or_by_hand(tmp_path: Path) -> None:
    model, other, batches = Tiny(), Tiny(), draw_batches()
    first = torch.optim.SGD(model.blocks.parameters(), lr=1e-3)
    second = torch.optim.SGD(model.head.parameters(), lr=1e-3)
    beside = torch.optim.SGD(other.parameters(), lr=1e-3)
    with Monitor(model, every=2, layers=model.blocks) as monitor:
        for _ in range(5):
            other(**next(batches)).loss.backward()
            beside.step()
            model(**next(batches)).loss.backward()
            first.step()
            second.step()
        assert monitor.iteration == 5
        assert monitor.last is not None
        assert monitor.last.iteration == 4


@pytest.mark.sample(4)
@pytest.mark.parametrize("order", ["before", "behind", "alone"])
def test_step_counts_where_it_is_called(order: str, tmp_path: Path) -> None:
    model, batches = Tiny(), draw_batches()
    optimizer = build_optimizer(model)
    with Monitor(model, every=2, to=tmp_path / "run.ndjson", layers=model.blocks) as monitor:
        for number in range(5):
            model(**next(batches)).loss.backward()
            if order != "behind":
                monitor.step()
            if order != "alone":
                optimizer.step()
            if order == "behind":
                monitor.step()
            assert monitor.iteration == number + 1
    assert read(tmp_path / "run.ndjson").iterations == {0: 0, 1: 2, 2: 4}


@pytest.mark.full
def test_a_resumed_training_keeps_its_count(tmp_path: Path) -> None:
    model = Tiny()
    monitor = Monitor(model, every=10, to=tmp_path / "run.ndjson", layers=model.blocks)
    monitor.start(iteration=25)
    train(model, 8)
    monitor.stop()
    assert read(tmp_path / "run.ndjson").iterations == {0: 25, 1: 30}


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("updates", "wanted"), [(8, [0, 3, 6, 7]), (7, [0, 3, 6]), (1, [0]), (50, [0, 3, 6]), (None, [0, 3, 6])]
)
def test_the_last_update_is_observed_where_it_is_known(updates: int | None, wanted: list[int], tmp_path: Path) -> None:
    model = Tiny()
    with Monitor(model, every=3, to=tmp_path / "run.ndjson", layers=model.blocks, updates=updates):
        losses = train(model, 1 if updates == 1 else 8)
    result = read(tmp_path / "run.ndjson")
    assert [*result.iterations.values()] == wanted
    np.testing.assert_allclose(result.steps["step_loss"], [losses[k] for k in wanted], rtol=1e-6)


@pytest.mark.full
def test_a_resumed_training_observes_its_last_update(tmp_path: Path) -> None:
    model = Tiny()
    monitor = Monitor(model, every=10, to=tmp_path / "run.ndjson", layers=model.blocks)
    monitor.start(iteration=25, updates=33)
    train(model, 8)
    monitor.stop()
    assert [*read(tmp_path / "run.ndjson").iterations.values()] == [25, 30, 32]


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("updates", "text"),
    [
        (4, None),
        (5, "The last observation is of the pass before update 4; 1 more update was made after it."),
        (6, "The last observation is of the pass before update 4; 2 more updates were made after it."),
    ],
)
def test_a_trace_says_how_many_updates_came_after_its_last_observation(
    updates: int, text: str | None, tmp_path: Path
) -> None:
    model = Tiny()
    with Monitor(model, every=3, to=tmp_path / "run.ndjson", layers=model.blocks):
        train(model, updates)
    found = {finding.key: finding for finding in read(tmp_path / "run.ndjson").summary.findings}
    assert (found["unobserved"].text if "unobserved" in found else None) == text
    if text is not None:
        assert found["unobserved"].numbers == {"observed": 3, "updates": updates}


def test_a_loss_that_the_model_does_not_return_is_told(tmp_path: Path) -> None:
    model, batches = Tiny(), draw_batches()
    optimizer = build_optimizer(model)
    whole = model.forward
    model.forward = lambda **batch: (whole(**batch).loss[None, None].expand(2, 2),)  # type: ignore[assignment, method-assign]
    with Monitor(model, every=1, to=tmp_path / "run.ndjson", layers=model.blocks) as monitor:
        for reported in (5.0, None, torch.tensor(4.0)):
            model(**next(batches))[0].mean().backward()
            if reported is not None:
                monitor.report_loss(reported)
            optimizer.step()
    np.testing.assert_array_equal(read(tmp_path / "run.ndjson").steps["step_loss"], [5, np.nan, 4])


def test_an_error_in_training_ends_the_trace_as_failed(tmp_path: Path) -> None:
    model = Tiny()

    def run_out_of_memory() -> None:
        with Monitor(model, every=2, to=tmp_path / "run.ndjson", layers=model.blocks):
            train(model, 3)
            raise MemoryError("no memory left")

    with pytest.raises(MemoryError):
        run_out_of_memory()
    end = read_frames(tmp_path / "run.ndjson")[-1]
    assert end.type == "end"
    assert (end.status, end.reason) == ("failed", "MemoryError: no memory left")
    assert count_hooks(model) == 0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"every": 0}, "every"),
        ({"every": "3"}, "every"),
        ({"every": 1.5}, "every"),
        ({"updates": 0}, "updates"),
        ({"to": "run.txt"}, "to"),
        ({"to": 3}, "to"),
        ({"to": "/no/such/folder/run.mhct"}, "to"),
        ({"layers": []}, "layers"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(arguments: dict[str, Any], field: str) -> None:
    model = Tiny()
    with pytest.raises(SpecError) as caught:
        Monitor(model, **({"layers": model.blocks} | arguments))
    assert caught.value.field == field
