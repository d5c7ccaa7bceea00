"""Attach to models of flash-linear-attention with `attnres_block_size`, on a CPU.

    pip install flash-linear-attention triton
    python -m tests.rigs.flash_linear_attention

Triton's interpreter runs the kernels. Three parts that need a GPU are replaced: flash-attn by torch's attention, the
timings that choose between kernels by the first choice, and, except with --fused, the kernels that read over depth by
the package's own naive form. With --fused these kernels run too.

Prints the largest errors of the probe, and fails where one is above its bound:

- states: relative, of the size of every state, output and gradient from hooks within the naive form;
- weights: absolute, of the weights over depth from the naive form in float64;
- bits: the parameters whose gradients, or outputs, differ with and without the probe.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

os.environ["TRITON_INTERPRET"] = "1"  # read when triton is imported

import numpy as np
import torch
from torch.nn import functional

from mhc_core.record.result import Result
from mhc_probe import attach

WIDTH, VOCABULARY, LAYERS = 64, 64, 4
BOUND = 1e-6  # of states and weights
FUSED_BOUND = 1e-5  # of states with the kernels, which round otherwise than the form with which they are compared
COMMON: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_heads": 2,
    "intermediate_size": 96,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 32,
    "fuse_norm": False,
    "fuse_swiglu": False,
    "fuse_cross_entropy": False,
    "use_cache": False,
}
Read = Callable[..., Any]


def attend(q: Any, k: Any, v: Any, causal: bool, window_size: tuple[int, int]) -> Any:
    """Return what `flash_attn_func` returns, (B, T, H, D), by torch."""
    assert causal, "the models are causal"
    assert window_size == (-1, -1), "no window is set"
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True).transpose(1, 2)


def prepare() -> None:
    """Import the package, and replace what needs a GPU, except the reads over depth."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no GPU, no flash-attn
        import fla.layers.attn
        import fla.models
        from triton.runtime.autotuner import Autotuner

        for found in pkgutil.iter_modules(fla.models.__path__):
            importlib.import_module(f"fla.models.{found.name}")
    fla.layers.attn.flash_attn_func = attend
    Autotuner._bench = lambda *args, **kwargs: (1.0, 1.0, 1.0)


def prepare_kernels() -> Read:
    """Return the package's fused read, which then runs on a CPU."""
    import triton.language as tl
    from fla.ops.attnres import fused

    plain = fused.fused_attnres_fwd

    def count(*bounds: Any) -> Iterator[Any]:
        for index in range(*(int(bound) for bound in bounds)):
            yield tl.full([], index, tl.int32)  # the interpreter counts in numbers, which have no methods of tensors

    def run(*args: Any, **kwargs: Any) -> Any:
        torch.Tensor.is_cuda = property(lambda self: True)  # type: ignore[assignment]
        try:
            return plain(*args, **kwargs)
        finally:
            del torch.Tensor.is_cuda

    fused.range, fused.fused_attnres_fwd = count, run
    read: Read = fused.fused_attnres
    return read


@contextmanager
def reads_by(read: Read) -> Iterator[None]:
    """Let all models read over depth by this function."""
    modules: list[Any] = [module for name, module in sys.modules.items() if name.startswith("fla.models")]
    holders = [module for module in modules if hasattr(module, "fused_attnres")]
    before = [module.fused_attnres for module in holders]
    for module in holders:
        module.fused_attnres = read
    try:
        yield
    finally:
        for module, old in zip(holders, before, strict=True):
            module.fused_attnres = old


def build(kind: str, size: int, layers: int, *, is_shaken: bool) -> Any:
    """Return a model of the package, as it is built or with random queries and gains."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **COMMON, num_hidden_layers=layers, attnres_block_size=size)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters() if is_shaken else ():
            parameter.add_(torch.randn_like(parameter) * (0.5 if "res_proj" in name else 0.1))
    return model


def feed(model: Any, tokens: int) -> Any:
    torch.manual_seed(2)  # some models draw numbers in each pass
    ids = torch.randint(0, VOCABULARY, (2, tokens), generator=torch.Generator().manual_seed(1))
    return model(input_ids=ids, labels=ids).loss


def rms(x: torch.Tensor | None) -> float:
    assert x is not None, "a gradient has arrived"
    return float(x.detach().double().square().mean().sqrt())


class HandRead:
    """A pass with hooks in the naive form, without the probe."""

    def __init__(self, model: Any, tokens: int) -> None:
        self.states: list[Any] = []
        self.weights: list[np.ndarray] = []
        self.outputs: list[torch.Tensor] = []
        handles = [model.model.embeddings.register_forward_hook(lambda _m, _a, output: self._keep(output))]
        for layer in model.model.layers:
            for part in (next(getattr(layer, key) for key in ("attn", "mixer") if hasattr(layer, key)), layer.mlp):
                handles.append(part.register_forward_hook(self._keep_output))
        with reads_by(self._read):
            feed(model, tokens).backward()
        for handle in handles:
            handle.remove()

    def _keep(self, state: torch.Tensor) -> None:
        state.retain_grad()
        self.states.append(state)

    def _keep_output(self, module: Any, args: Any, output: Any) -> None:
        self.outputs.append((output[0] if isinstance(output, tuple) else output).detach())

    def _read(self, query: Any, residuals: Any, rms_weight: Any, output_rms_weight: Any, rms_eps: float) -> Any:
        from fla.ops.attnres import naive_attnres

        given = [[x.detach().double() for x in part] for part in ([query, rms_weight], residuals)]
        # The naive form computes in float32 whatever it is given, so that float64 needs its formula again.
        keys = torch.stack([functional.rms_norm(x, (WIDTH,), given[0][1], rms_eps) for x in given[1]])
        self.weights.append(torch.softmax(keys @ given[0][0].flatten(), 0).flatten(1).mean(1).numpy())
        state, weights = naive_attnres(query, residuals, rms_weight, None, rms_eps, return_weights=True)
        np.testing.assert_allclose(weights.detach().flatten(1).mean(1), self.weights[-1], atol=BOUND)
        self._keep(state)
        return functional.rms_norm(state, (WIDTH,), output_rms_weight, rms_eps)


def group_outputs(layers: int, size: int) -> list[list[int]]:
    """Return the sources after some layers: the embedding, and the outputs of every `size` layers in a row."""
    return [[0]] + [list(range(first, min(first + size, layers + 1))) for first in range(1, layers + 1, size)]


def measure_states(result: Result, hand: HandRead) -> float:
    """Return the largest relative error of a size of a state, an output or a gradient."""
    pairs = [
        (result.input["act_rms"], rms(hand.states[0])),
        (result.input["grad_rms"], rms(hand.states[0].grad)),
    ]
    for layer, (state, output) in enumerate(zip(hand.states[1:], hand.outputs, strict=True)):
        pairs.append((result.layers["act_rms"][layer], rms(state)))
        pairs.append((result.layers["grad_rms"][layer], rms(state.grad)))
        pairs.append((result.layers["branch_out_rms"][layer], rms(output)))
    return max(abs(float(found) / wanted - 1) for found, wanted in pairs)


def measure_weights(result: Result, hand: HandRead, size: int) -> float:
    """Return the largest error of a weight over depth."""
    unfolded, worst = result.matrices["unfolded"], 0.0
    for layer in range(1, result.depth):
        wanted = np.zeros(result.depth + 1)
        for weight, group in zip(hand.weights[layer - 1], group_outputs(layer, size), strict=True):
            wanted[group] = weight
        worst = max(worst, float(np.abs(unfolded[layer] - wanted).max()))
    return worst


def check(kind: str, size: int, read: Read, *, is_shaken: bool, layers: int, tokens: int) -> tuple[float, float, int]:
    """Return the largest errors of states and of weights, and how many tensors the probe has changed."""
    make = partial(build, kind, size, layers, is_shaken=is_shaken)
    alone, watched = make(), make()
    with reads_by(read):
        wanted = feed(alone, tokens)
        wanted.backward()
        with attach(watched) as probe:
            found = feed(watched, tokens)
            found.backward()
    pairs = [(one.grad, other.grad) for one, other in zip(alone.parameters(), watched.parameters(), strict=True)]
    same = [(a is None) == (b is None) and (a is None or torch.equal(a, b)) for a, b in pairs]
    result, hand = probe.result(), HandRead(make(), tokens)
    assert result.depth == len(hand.outputs) == len(hand.states) - 1 == 2 * layers
    assert not result.status, result.status
    changed = [*same, torch.equal(found, wanted)].count(False)
    return measure_states(result, hand), measure_weights(result, hand, size), changed


def main(arguments: Sequence[str]) -> int:
    """Check all models; return 1 if an error is above its bound."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--fused", action="store_true", help="run the kernels that read over depth, too (a minute)")
    parser.add_argument("--models", nargs="*", default=["transformer"])
    parser.add_argument("--sizes", nargs="*", type=int, default=[1, 2, 4, 8], help="outputs in one source")
    parser.add_argument("--layers", type=int, default=LAYERS, help="of the package; each is two of ours")
    parser.add_argument("--tokens", type=int, default=12, help="of each of two sequences")
    chosen = parser.parse_args(arguments)
    prepare()
    from fla.ops.attnres import naive_attnres

    run = partial(check, read=naive_attnres, layers=chosen.layers, tokens=chosen.tokens)
    rows = [
        (kind, size, is_shaken, BOUND, run(kind, size, is_shaken=is_shaken))
        for kind in chosen.models
        for size in chosen.sizes
        for is_shaken in (False, True)
    ]
    if chosen.fused:
        errors = check("transformer", 2, prepare_kernels(), is_shaken=True, layers=2, tokens=4)
        rows.append(("transformer, kernels", 2, True, FUSED_BOUND, errors))
    print(f"{'model':22}{'block':>6}  {'queries':9}{'states':>9}{'weights':>9}{'bits':>6}")
    for kind, size, is_shaken, _, (states, weights, changed) in rows:
        print(f"{kind:22}{size:6}  {'random' if is_shaken else '0':9}{states:9.1e}{weights:9.1e}{changed:6}")
    return int(any(max(states, weights) > bound or changed for *_, bound, (states, weights, changed) in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
