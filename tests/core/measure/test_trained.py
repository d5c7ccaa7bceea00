"""Stored trained stacks: what a second run reads is, bit for bit, what training again gives."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mhc_core.measure import trained
from mhc_core.measure.atlas import measure_atlas
from mhc_core.measure.run import run
from mhc_core.measure.trained import TrainedStacks
from mhc_core.record import codec
from mhc_core.spec import RunSpec
from tests.core.conftest import build_spec

EDIT: dict[str, Any] = {"layers": [1, 2], "what": "stream", "index": 1, "do": "zero"}
TRAIN: dict[str, Any] = {"steps": 5, "lr": 0.02, "kept": 2}


def encode(spec: RunSpec, store: TrainedStacks | None) -> list[bytes]:
    return [codec.encode_frame(frame, "run", index) for index, frame in enumerate(run(spec, store))]


def refuse_to_train(patch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise AssertionError("it trains again")

    patch.setattr(trained, "train", fail)


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("mhc", "float32"),
        ("attnres", "bfloat16"),
        *(pytest.param(*one, marks=pytest.mark.full) for one in (("mhc", "float64"), ("attnres", "float32"))),
    ],
)
def test_an_edited_run_of_a_stored_stack_is_that_of_a_trained_one(
    kind: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = EDIT if kind == "mhc" else EDIT | {"what": "source"}
    plain, edited = (
        build_spec(connection={"kind": kind}, dtype=dtype, train=TRAIN, edits=edits) for edits in ([], [edit])
    )
    due, due_plain = encode(edited, None), encode(plain, None)
    store = TrainedStacks(tmp_path)
    assert encode(plain, store) == due_plain
    refuse_to_train(monkeypatch)
    assert encode(edited, store) == due
    threads = torch.get_num_threads()
    assert [store.has(spec, threads) for spec in (plain, edited, build_spec(train=TRAIN, seed=9))] == [
        True,
        True,
        False,
    ]
    assert not store.has(plain, threads + 1)
    assert encode(plain, store) == due_plain
    assert len(list(tmp_path.iterdir())) == 1


def test_the_atlas_reads_the_stored_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, store = build_spec(train=TRAIN), TrainedStacks(tmp_path)
    due = [codec.encode_frame(frame, "atlas", 0) for frame in measure_atlas(spec)]
    encode(spec, store)
    refuse_to_train(monkeypatch)
    assert [codec.encode_frame(frame, "atlas", 0) for frame in measure_atlas(spec, store)] == due


def test_another_stack_is_trained_by_itself(tmp_path: Path) -> None:
    store = TrainedStacks(tmp_path)
    changes: list[dict[str, Any]] = [{}, {"seed": 5}, {"train": {"steps": 5, "lr": 0.01}}]
    for changed in changes:
        spec = build_spec(**{"train": TRAIN, **changed})
        assert encode(spec, store) == encode(spec, None)
    assert len(list(tmp_path.iterdir())) == 3


def test_training_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    frames = run(build_spec(train=TRAIN), TrainedStacks(tmp_path))
    while next(frames).type != "step":
        pass
    frames.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def test_stacks_that_were_used_least_recently_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TrainedStacks(tmp_path)
    first, *_ = specs = [build_spec(train=TRAIN, seed=seed) for seed in (1, 2, 3)]
    for spec in specs[:2]:
        encode(spec, store)
    one, two = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    encode(first, store)
    assert one.stat().st_mtime_ns >= two.stat().st_mtime_ns
    monkeypatch.setattr(trained, "TOTAL_BYTES", int(2.5 * one.stat().st_size))
    encode(specs[2], store)
    assert one.exists()
    assert not two.exists()


def test_where_nothing_can_be_stored_it_trains_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "file"
    folder.touch()
    spec = build_spec(train=TRAIN)
    assert encode(spec, TrainedStacks(folder)) == encode(spec, None)
    assert "is not stored in" in capsys.readouterr().err


def test_a_large_stack_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "FILE_BYTES", 1000)
    encode(build_spec(train=TRAIN), TrainedStacks(tmp_path))
    assert not tmp_path.exists() or list(tmp_path.iterdir()) == []
