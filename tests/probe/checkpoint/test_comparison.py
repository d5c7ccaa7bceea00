"""Two checkpoints side by side: a copy, and copies in which one thing was changed on purpose."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mhc_core.spec import SpecError
from mhc_probe.checkpoint import Comparison, compare_checkpoints, read_checkpoint
from tests.conftest import Call
from tests.probe.checkpoint.stored import STREAMS, WIDTH, draw_connections, write_file

BLOCKS = 3
Tensors = dict[str, np.ndarray]


def draw_tensors(mixed: bool = True) -> Tensors:
    """Return connections whose projections differ from row to row."""
    rng = np.random.default_rng(2)
    tensors = draw_connections(BLOCKS, mixed=mixed)
    for name, tensor in tensors.items():
        if name.endswith("fn"):
            tensors[name] = rng.standard_normal(tensor.shape).astype(np.float32)
    return tensors


def compare(tmp_path: Path, change: Callable[[Tensors], Tensors], mixed: bool = True) -> Comparison:
    first = write_file(tmp_path / "first.safetensors", draw_tensors(mixed))
    second = write_file(tmp_path / "second.safetensors", change(draw_tensors(mixed)))
    return compare_checkpoints(first, second)


def list_connections(tensors: Tensors) -> list[str]:
    """Return the prefix of each connection in the order of the layers."""
    return [name.removesuffix("base") for name in tensors if name.endswith("base")]


def list_rows(rearrange: Callable[[np.ndarray], np.ndarray], order: list[int]) -> np.ndarray:
    """Return the rows of a projection after its streams are permuted and the matrix of H_res is rearranged."""
    n = STREAMS
    matrix = rearrange(np.arange(2 * n, 2 * n + n * n).reshape(n, n)[np.ix_(order, order)])
    return np.concatenate([np.array(order), n + np.array(order), matrix.flatten()])


def rearrange_rows(tensors: Tensors, rows: np.ndarray) -> Tensors:
    for name in list_connections(tensors):
        for part in ("base", "fn"):
            tensors[name + part] = tensors[name + part][rows]
    return tensors


def keep(matrix: np.ndarray) -> np.ndarray:
    return matrix


def transpose(tensors: Tensors) -> Tensors:
    return rearrange_rows(tensors, list_rows(np.transpose, list(range(STREAMS))))


def permute(tensors: Tensors, order: list[int]) -> Tensors:
    return rearrange_rows(tensors, list_rows(keep, order))


def shift(tensors: Tensors, by: int, rows: slice = slice(None)) -> Tensors:
    """Store the coefficients of each connection in that of `by` layers earlier; those at the end are new."""
    names = list_connections(tensors)
    old = {name: tensor.copy() for name, tensor in tensors.items()}
    for at, name in enumerate(names):
        source = at + by
        for part in ("base", "fn"):
            new = np.full_like(tensors[name + part][rows], 0.5)
            tensors[name + part][rows] = old[names[source] + part][rows] if 0 <= source < len(names) else new
    return tensors


def test_a_copy_is_the_same(tmp_path: Path) -> None:
    found = compare(tmp_path, dict)
    assert found.is_same
    assert found.sizes_agree
    assert found.describe() == [
        "The static mixing of all 6 layers is the same.",
        "The projections of tokens have the same sizes, row by row. Their directions were not compared.",
    ]
    assert all((part == 0).all() for part in found.differences.values())
    assert found.layers[:2] == ["layer 1 (attention)", "layer 2 (mlp)"]


def test_a_transpose_of_h_res_is_named(tmp_path: Path) -> None:
    found = compare(tmp_path, transpose)
    assert not found.is_same
    assert found.order == (0, 1, 2, 3)
    assert {key: match and match.transposed for key, match in found.matches.items()} == {
        "h_pre": False,
        "h_post": False,
        "h_res": True,
    }
    assert found.describe()[:3] == [
        "H_pre is the same.",
        "H_post is the same.",
        "H_res is the same up to a transpose.",
    ]
    assert found.sizes_agree
    assert (found.differences["h_res"] > 0.01).all()


@pytest.mark.sample(3)
@pytest.mark.parametrize("size", [1, 4, 8])
def test_a_transpose_of_wide_logits_is_named_though_the_rounds_leave_another_matrix(tmp_path: Path, size: int) -> None:
    def widen(tensors: Tensors) -> Tensors:
        for name in list_connections(tensors):
            tensors[f"{name}base"] *= size
        return tensors

    first = write_file(tmp_path / "first.safetensors", widen(draw_tensors()))
    second = write_file(tmp_path / "second.safetensors", transpose(widen(draw_tensors())))
    found = compare_checkpoints(first, second)
    assert found.matches == {"h_pre": (0, False), "h_post": (0, False), "h_res": (0, True)}
    ours, theirs = (read_checkpoint(path).matrices["h_res"] for path in (first, second))
    error = np.abs(ours.swapaxes(1, 2) - theirs).max()
    assert (error > 1e-3) == (size > 1)


def test_a_transpose_of_biases_alone_does_not_hide_the_projections(tmp_path: Path) -> None:
    def change(tensors: Tensors) -> Tensors:
        projections = {name: tensor for name, tensor in tensors.items() if name.endswith("fn")}
        return transpose(tensors) | projections

    found = compare(tmp_path, change)
    assert found.matches["h_res"] == (0, True)
    assert found.sizes_agree is False
    assert found.describe()[-1] == "The projections of tokens do not have the same sizes."


@pytest.mark.sample(3)
@pytest.mark.parametrize("order", [[1, 0, 2, 3], [2, 3, 1, 0], [3, 0, 1, 2]])
def test_a_permutation_of_streams_is_named(tmp_path: Path, order: list[int]) -> None:
    found = compare(tmp_path, lambda tensors: permute(tensors, order))
    assert not found.is_same
    assert found.order == tuple(order)
    assert all(match is not None and match.is_plain for match in found.matches.values())
    assert found.sizes_agree
    assert found.describe()[0] == (
        f"The static mixing of all 6 layers is the same up to a permutation: streams "
        f"{', '.join(str(place + 1) for place in order)} of the first are streams 1 to 4 of the second."
    )


@pytest.mark.parametrize(("by", "where"), [(1, "after"), (-1, "before")])
def test_a_shift_by_one_layer_is_named(tmp_path: Path, by: int, where: str) -> None:
    found = compare(tmp_path, lambda tensors: shift(tensors, by))
    assert not found.is_same
    assert set(found.matches.values()) == {(by, False)}
    assert found.describe()[2] == (
        f"H_res is shifted by one layer: that of the second is that of the layer {where} it in the first."
    )


def test_a_shift_of_h_pre_alone_is_named(tmp_path: Path) -> None:
    """As in single-pass forms, which read with the weights of the layer before."""
    found = compare(tmp_path, lambda tensors: shift(tensors, -1, slice(0, STREAMS)))
    assert found.matches == {"h_pre": (-1, False), "h_post": (0, False), "h_res": (0, False)}


def test_all_of_them_together_are_named(tmp_path: Path) -> None:
    found = compare(tmp_path, lambda tensors: shift(transpose(permute(tensors, [2, 0, 3, 1])), 1))
    assert found.order == (2, 0, 3, 1)
    assert found.matches == {"h_pre": (1, False), "h_post": (1, False), "h_res": (1, True)}
    wanted = "The streams are permuted: streams 3, 1, 4, 2 of the first are streams 1 to 4 of the second."
    assert found.describe()[0] == wanted


def test_what_is_none_of_these_is_called_different(tmp_path: Path) -> None:
    def change(tensors: Tensors) -> Tensors:
        name = list_connections(tensors)[3]
        tensors[f"{name}base"] = tensors[f"{name}base"] + np.eye(1, STREAMS * (STREAMS + 2), 9, dtype=np.float32)[0]
        return tensors

    found = compare(tmp_path, change)
    assert found.matches == {"h_pre": (0, False), "h_post": (0, False), "h_res": None}
    text = found.describe()[2]
    assert text.startswith("H_res differs in 1 of 6 layers, first in layer 4 (mlp), and at most by ")
    assert "neither transposed nor shifted by one layer" in text
    assert found.differences["h_res"][3] > 0.01
    assert (np.delete(found.differences["h_res"], 3) == 0).all()


def test_one_layer_that_is_transposed_is_no_transpose(tmp_path: Path) -> None:
    def change(tensors: Tensors) -> Tensors:
        name, others = list_connections(tensors)[0], draw_tensors()
        return others | {key: part for key, part in transpose(tensors).items() if key.startswith(name)}

    assert compare(tmp_path, change).matches["h_res"] is None


def test_other_weights_are_called_different_in_all(tmp_path: Path) -> None:
    def change(tensors: Tensors) -> Tensors:
        rng = np.random.default_rng(9)
        return {name: rng.standard_normal(part.shape).astype(np.float32) for name, part in tensors.items()}

    found = compare(tmp_path, change)
    assert found.order == (0, 1, 2, 3)
    assert set(found.matches.values()) == {None}
    assert found.sizes_agree is False


def test_streams_that_pass_unmixed_have_no_transpose(tmp_path: Path) -> None:
    found = compare(tmp_path, lambda tensors: {name: part.copy() for name, part in tensors.items()}, mixed=False)
    assert found.is_same
    assert (found.differences["h_res"] == 0).all()


def test_rounded_biases_are_the_same(tmp_path: Path) -> None:
    def change(tensors: Tensors) -> Tensors:
        return {name: to_bfloat16(part) if name.endswith("base") else part for name, part in tensors.items()}

    found = compare(tmp_path, change)
    assert found.is_same
    assert found.tolerance == 4 * 2.0**-7
    assert found.differences["h_res"].max() > 1e-4


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    bits: np.ndarray = (values.view(np.uint32) >> 16).astype(np.uint16)
    return bits


def test_biases_that_are_lost_in_both_are_the_same(tmp_path: Path) -> None:
    def lose(tensors: Tensors) -> Tensors:
        tensors[f"{list_connections(tensors)[2]}base"][-1] = np.nan
        return tensors

    first = write_file(tmp_path / "lost.safetensors", lose(draw_tensors()))
    assert compare_checkpoints(first, first).is_same
    whole = write_file(tmp_path / "whole.safetensors", draw_tensors())
    found = compare_checkpoints(first, whole)
    assert found.matches["h_res"] is None
    assert "H_res differs in 1 of 6 layers, first in layer 3 (attention)" in found.describe()[2]


def test_further_layers_are_said_to_be_left_out(tmp_path: Path) -> None:
    first = write_file(tmp_path / "first.safetensors", draw_tensors())
    fewer = {name: part for name, part in draw_tensors().items() if "layers.2." not in name}
    second = write_file(tmp_path / "second.safetensors", fewer)
    found = compare_checkpoints(first, second)
    assert not found.is_same
    assert found.describe()[-1] == "One of them has 2 further layers, not compared."


def test_other_streams_are_refused(tmp_path: Path) -> None:
    first = write_file(tmp_path / "first.safetensors", draw_tensors())
    two = {}
    for name, part in draw_tensors().items():
        two[name] = part[:8, : 2 * WIDTH] if name.endswith("fn") else part[:8] if name.endswith("base") else part
    second = write_file(tmp_path / "second.safetensors", two)
    with pytest.raises(SpecError, match="got '2 streams', wanted 4 streams"):
        compare_checkpoints(first, second)


@pytest.mark.sample(3)
@pytest.mark.parametrize("n", [4, 8])
def test_many_streams_are_matched_by_their_weights(tmp_path: Path, n: int) -> None:
    rng = np.random.default_rng(3)
    order = list(rng.permutation(n))
    count = (2 + n) * n
    matrix = (2 * n + np.arange(n * n).reshape(n, n))[np.ix_(order, order)]
    rows = np.concatenate([order, n + np.array(order), matrix.flatten()])
    paths = []
    for name, places in (("first", np.arange(count)), ("second", rows)):
        drawn = np.random.default_rng(4)
        tensors: Tensors = {}
        for start in ("attn_hc.", "ffn_hc."):
            key = f"model.layers.0.{start}"
            tensors[f"{key}fn"] = drawn.standard_normal((count, n * WIDTH)).astype(np.float32)[places]
            tensors[f"{key}base"] = drawn.standard_normal(count).astype(np.float32)[places]
            tensors[f"{key}scale"] = np.ones(3, dtype=np.float32)
        paths.append(write_file(tmp_path / f"{name}.safetensors", tensors))
    found = compare_checkpoints(*paths)
    assert found.order == tuple(order)
    assert all(match is not None and match.is_plain for match in found.matches.values())
    assert found.sizes_agree


def test_the_command_prints_layers_and_sentences(call: Call, tmp_path: Path) -> None:
    first = write_file(tmp_path / "first.safetensors", draw_tensors())
    second = write_file(tmp_path / "second.safetensors", transpose(draw_tensors()))
    done = call("trace", str(first), "--compare", str(second))
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["largest", "difference", "h_pre", "h_post", "h_res"]
    assert lines[1].startswith("layer 1 (attention)")
    assert "H_res is the same up to a transpose." in lines
    done = call("trace", str(first), "--compare", str(first))
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "The static mixing of all 6 layers is the same."
    done = call("trace", str(first), "--compare", str(tmp_path / "nowhere.safetensors"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such file" in done.stderr
