"""One mistake in the code of every metric, and in every formula of the coefficients: some check finds each.

The mistakes are those that people make: another axis, a root or a square too few, a mean for a median, an estimator
that is biased. They are planted in the code of the run; the recomputation must not change with it.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.checks.recomputation import recompute
from mhc_core.checks.reference_columns import REFERENCES
from mhc_core.checks.verification import RecordCheck, verify
from mhc_core.layers import hc, manifold
from mhc_core.layers.connection import Mixing
from mhc_core.measure import effects, jacobian, logit_probe, passes, probe, step_frame, training
from mhc_core.measure.run import run
from mhc_core.metric import LayerBlock
from mhc_core.metrics import METRICS, similarity, token_products
from mhc_core.metrics.gauge import measure_gauge_norms
from mhc_core.metrics.paths import measure_kernel_shares, unfold
from mhc_core.record.frames import RecomputationFrame
from mhc_core.spec import RunSpec
from tests.core.conftest import build_spec, collect

Values = dict[str, Any]
Plant = Callable[[pytest.MonkeyPatch], None]

BASE: Values = {
    "depth": 6,
    "width": 16,
    "device": "cpu",
    "block": {"kind": "mlp", "activation": "gelu", "mlp_ratio": 2},
    "input": {"kind": "text", "batch": 2, "tokens": 8},
}
# Streams apart, tokens apart, rounds that have not converged: nothing is hidden by a symmetry.
SPECS: dict[str, Values] = {
    "static": {"kind": "mhc", "init": "mhc_lite", "noise": 3.0, "sinkhorn_iters": 3},
    "dynamic": {"kind": "mhc", "init": "deepseek_v4", "noise": 3.0, "sinkhorn_iters": 3, "dynamic": True},
    "unprojected": {"kind": "mhc", "init": "deepseek_v4", "noise": 0.5, "sinkhorn_iters": 0, "dynamic": True},
    "free": {"kind": "hc", "noise": 0.5},
    "parts": {"kind": "frac", "noise": 0.5},
    "parts, dynamic": {"kind": "frac", "noise": 0.5, "dynamic": True},
    "gates": {"kind": "gated", "streams": 3, "gate_rank": 8},
}
CUT = {"layers": [1, 1], "what": "stream", "index": 1, "do": "zero"}
VALUES = {"kind": "transformer", "heads": 2, "value_residual": "learned"}
MORE: dict[str, Values] = {
    "jacobian": {"connection": SPECS["free"], "jacobian": 4},
    "trained": {"connection": SPECS["static"], "train": {"steps": 3, "warmup": 3}},
    "edited": {"connection": SPECS["static"], "edits": [CUT]},
    "values": {"connection": SPECS["free"], "block": VALUES},
    "values, trained": {"connection": SPECS["free"], "block": VALUES, "train": {"steps": 3}},
    "parts, trained": {"connection": SPECS["parts"], "train": {"steps": 3}},
}


@cache
def pick(name: str) -> RunSpec:
    return build_spec(BASE, **(MORE[name] if name in MORE else {"connection": SPECS[name]}))


@cache
def recompute_once(name: str) -> RecomputationFrame:
    """Of the code without a fault; it shares none with the metrics, as a test below shows."""
    return recompute(pick(name))


def find_failures(spec: RunSpec, recomputed: RecomputationFrame) -> list[RecordCheck]:
    checks = verify(spec, collect(list(run(spec))), recomputed)
    return [check for check in checks if check.verdict == "fails"]


# How a mistake is planted.


def change_result(place: Any, name: str, **changes: Callable[..., Any]) -> Plant:
    """The function `name` of `place` returns its dictionary with some values made by `change(value, *arguments)`."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right = getattr(place, name)

        def wrong(*arguments: Any, **more: Any) -> Any:
            found = right(*arguments, **more)
            return found | {key: change(found[key], *arguments) for key, change in changes.items() if key in found}

        patch.setattr(place, name, wrong)

    return plant


def replace(place: Any, name: str, wrong: Callable[..., Any]) -> Plant:
    return lambda patch: patch.setattr(place, name, wrong)


def change_columns(**changes: Callable[..., Any]) -> Plant:
    """What the probe measured, before it becomes frames."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right = probe.to_groups

        def wrong(columns: Values, cast: Any) -> Any:
            changed = {key: change(columns[key]) for key, change in changes.items() if key in columns}
            return right(columns | changed, cast)

        patch.setattr(probe, "to_groups", wrong)

    return plant


def scaled(value: Any, *_: Any) -> Any:
    return 1.05 * value


def change_step(**changes: Callable[[np.ndarray], np.ndarray]) -> Plant:
    """What a step of training measured, before it becomes a frame."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right = training.build_step_frame

        def wrong(spec: RunSpec, step: int, rate: float, values: Values, *, is_kept: bool) -> Any:
            changed = {key: change(values[key]) for key, change in changes.items() if key in values}
            return right(spec, step, rate, values | changed, is_kept=is_kept)

        patch.setattr(training, "build_step_frame", wrong)

    return plant


def with_logs(change: Callable[..., np.ndarray]) -> Callable[..., Any]:
    """For a column that is a pair of values and logarithms."""

    def wrong(pair: tuple[np.ndarray, np.ndarray], *arguments: Any) -> Any:
        value = change(pair[0], *arguments)
        return value, np.log10(np.abs(value))

    return wrong


def multiply(h_res: np.ndarray, *, down: bool = False) -> np.ndarray:
    """All products H_l ... H_1, or H_L ... H_l."""
    found, product = [], np.eye(h_res.shape[1])
    for matrix in reversed(h_res) if down else h_res:
        product = product @ matrix if down else matrix @ product
        found.append(product)
    return np.array(found[::-1] if down else found)


def pick_quantile(level: float) -> Callable[..., torch.Tensor]:
    def wrong(_: torch.Tensor, u_KNC: torch.Tensor, y_KNC: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        pairs = torch.cat([before[None], u_KNC])
        cosines = torch.cosine_similarity(pairs[1:], pairs[:-1], dim=-1).double()
        return cosines.mean(1) if level < 0 else torch.quantile(cosines, level, dim=1)

    return wrong


def square_the_shares(_: torch.Tensor, x_KnNC: torch.Tensor, m_KNC: torch.Tensor) -> torch.Tensor:
    values = torch.linalg.svdvals(m_KNC.double()) ** 2
    share = values / values.sum(1, keepdim=True)
    return torch.exp(-torch.xlogy(share, share).sum(1))


def compare_means(_: torch.Tensor, x_KnNC: torch.Tensor, m_KNC: torch.Tensor) -> torch.Tensor:
    """The cosine of the samples' mean, for the mean of the samples' cosines."""
    unit = torch.nn.functional.normalize(x_KnNC.double().mean(2), dim=-1)
    return unit @ unit.mT


def average_wrongly(key: str, part: int, change: Callable[[torch.Tensor], torch.Tensor]) -> Plant:
    """By another rule, of coefficients (K, N, ...), static ones (K, ...); part 0 reads, 1 writes, 2 mixes."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right = probe._average_mixing

        def wrong(block: LayerBlock) -> Any:
            return right(block) | {key: change(torch.stack([mixing[part] for mixing in block.mixings]).double())}

        patch.setattr(probe, "_average_mixing", wrong)

    return plant


def unfold_one_too_far(h_pre: np.ndarray, h_post: np.ndarray, h_res: np.ndarray) -> np.ndarray:
    """With the H_res of the layer that reads."""
    return unfold(np.einsum("ln,lnm->lm", h_pre, h_res), h_post, h_res)


def share_without_the_last_read(h_pre: np.ndarray, h_post: np.ndarray, h_res: np.ndarray) -> np.ndarray:
    """Without the mean of the streams at the end."""
    found = measure_kernel_shares(h_pre[:-1], h_post[:-1], h_res[:-1])
    return np.vstack([found, np.eye(1, found.shape[1])])


def gauge_one_layer_off(h_pre: np.ndarray, h_post: np.ndarray, h_res: np.ndarray, **_: Any) -> dict[str, Any]:
    """Reads behind their own H_res, writes in front of it."""
    turned = np.einsum("ln,lnm->lm", h_pre, h_res), np.einsum("lmn,ln->lm", h_res, h_post)
    return measure_gauge_norms(*turned, h_res)


fill_gram = similarity.fill_centred_gram


def gram_biased(out_KPP: torch.Tensor, x_KPC: torch.Tensor, *, biased: bool) -> None:
    fill_gram(out_KPP, x_KPC, biased=True)


def sum_norms(groups: Any) -> torch.Tensor:
    """The sum of the tensors' norms, for the root of the sum of their squares."""
    return torch.stack([torch.stack(list(group)).sum() for group in groups])


def norms(group: Any) -> list[torch.Tensor]:
    return [torch.linalg.vector_norm(tensor).double() for tensor in group]


def miss_the_size(found_nNC: torch.Tensor, base_nNC: torch.Tensor) -> torch.Tensor:
    away = torch.linalg.vector_norm((found_nNC - base_nNC).double())
    return torch.stack([away, torch.ones_like(away)])


def skip_branch_share_square(value: torch.Tensor, *_: Any) -> torch.Tensor:
    return value.sqrt()


def spread_wrongly(**changes: Callable[[torch.Tensor], torch.Tensor]) -> Plant:
    """Statistics over tokens, from log2 of their gains (K, N)."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right = token_products._to_spread

        def wrong(log2_KN: torch.Tensor) -> torch.Tensor:
            names = list(token_products.SPREAD)
            columns = dict(zip(names, right(log2_KN).unbind(1), strict=True))
            columns |= {name: change(log2_KN) for name, change in changes.items()}
            return torch.stack([columns[name] for name in names], 1)

        patch.setattr(token_products, "_to_spread", wrong)

    return plant


def gains_of_sums(patch: pytest.MonkeyPatch) -> None:
    """The mean of the tokens' gains, for the gain of the tokens' mean."""
    right = passes.to_gains

    def wrong(columns: Any) -> Any:
        gains = right(columns)
        return gains | {
            f"composite_gain_{way}_tokens": gains[f"composite_gain_{way}_token_mean"]
            for way in ("fwd", "bwd")
            if f"composite_gain_{way}_tokens" in gains
        }

    patch.setattr(passes, "to_gains", wrong)


MATRICES, COMPOSITES, STATES = "measure_matrices", "measure_composites", "measure_states"
TOKENS: dict[str, Plant] = {
    "min": spread_wrongly(min=lambda log2: log2.median(1).values),
    "median": spread_wrongly(median=lambda log2: log2.mean(1)),
    "mean": spread_wrongly(mean=lambda log2: log2.mean(1)),
    "max": spread_wrongly(max=lambda log2: log2.quantile(0.9, dim=1)),
}

# By metric: the spec in which the mistake shows, and the mistake.
FAULTS: dict[str, tuple[str, Plant]] = {
    # States.
    "act_rms": ("static", change_result(probe, STATES, act_rms=lambda v, *_: v**2)),
    "act_rms_streams": ("static", change_result(probe, STATES, act_rms_streams=lambda v, x, m: x.abs().mean((2, 3)))),
    "token_cos": ("static", change_result(probe, STATES, token_cos=lambda v, x, m: v + (1 - v) / m.shape[1])),
    "effective_rank": ("static", change_result(probe, STATES, effective_rank=square_the_shares)),
    "stream_cos": ("static", change_result(probe, STATES, stream_cos=lambda v, x, m: v + (1 - v) / x.shape[1])),
    "stream_cosines": ("static", change_result(probe, STATES, stream_cosines=compare_means)),
    "branch_in_rms": ("static", change_result(probe, "measure_branches", branch_in_rms=lambda v, u, *_: u.std((1, 2)))),
    "branch_out_rms": ("static", change_result(probe, "measure_branches", branch_out_rms=lambda v, *_: v**2)),
    "cos_prev": ("static", change_result(probe, "measure_branches", cos_prev=pick_quantile(-1))),
    "cos_prev_p05": ("static", change_result(probe, "measure_branches", cos_prev_p05=pick_quantile(0.1))),
    "cos_prev_p95": ("static", change_result(probe, "measure_branches", cos_prev_p95=pick_quantile(0.9))),
    "cka": ("static", replace(similarity, "fill_centred_gram", gram_biased)),
    # Gradients.
    "grad_rms": ("static", change_result(probe, "measure_gradients", grad_rms=lambda v, g, m: v / g.shape[1])),
    "grad_rms_streams": (
        "static",
        change_result(probe, "measure_gradients", grad_rms_streams=lambda v, g, m: g.double().std((2, 3))),
    ),
    "branch_grad_rms": ("static", change_columns(branch_grad_rms=lambda v: v * BASE["width"] ** 0.5)),
    "param_grad_norm": ("static", replace(probe, "join_norms", sum_norms)),
    "grad_to_weight": ("static", change_columns(grad_to_weight=lambda v: v**2)),
    "mixing_grad_norm": ("dynamic", replace(passes, "join_norms", sum_norms)),
    "mixing_signal": (
        "static",
        change_result(passes, "measure_mixing_gradients", mixing_signal=lambda v, g, *_: v**2),
    ),
    "mixing_grad_share": (
        "static",
        change_result(
            passes,
            "measure_mixing_gradients",
            mixing_grad_share=lambda v, g, logits, eps: logits / np.linalg.norm(g, axis=(1, 2)),
        ),
    ),
    # Mixing matrices.
    "h_pre": ("dynamic", average_wrongly("h_pre", 0, lambda h: h.median(1).values)),
    "h_read": ("parts", average_wrongly("h_read", 0, lambda h: h.flip(-1))),
    "h_post": ("dynamic", average_wrongly("h_post", 1, lambda h: h[:, 0])),
    "h_res": ("static", average_wrongly("h_res", 2, lambda h: h.mT)),
    "h_pre_std": ("dynamic", average_wrongly("h_pre_std", 0, lambda h: h.std(1))),
    "h_read_std": ("parts, dynamic", change_columns(h_read_std=lambda v: v + 0.01)),
    "h_post_std": ("dynamic", average_wrongly("h_post_std", 1, lambda h: h.var(1, correction=0))),
    "h_res_std": (
        "dynamic",
        average_wrongly("h_res_std", 2, lambda h: h.std((1, 2), keepdim=True)[:, 0].expand(-1, 4, 4)),
    ),
    "h_res_row_sum": ("static", change_result(probe, MATRICES, h_res_row_sum=lambda v, h: h.sum(1))),
    "h_res_col_sum": ("static", change_result(probe, MATRICES, h_res_col_sum=lambda v, h: h.sum(2))),
    "ds_error": ("static", change_result(probe, MATRICES, ds_error=lambda v, h: np.abs(h.sum(2) - 1).max(1))),
    "ds_error_tokens": ("dynamic", average_wrongly("ds_error_tokens", 2, lambda h: (h.sum(2) - 1).abs().mean((1, 2)))),
    "h_res_min": ("free", change_result(probe, MATRICES, h_res_min=lambda v, h: np.abs(h).min((1, 2)))),
    "h_res_sigma2": ("static", change_result(probe, MATRICES, h_res_sigma2=lambda v, h: v**2)),
    "h_res_to_uniform": (
        "static",
        change_result(probe, MATRICES, h_res_to_uniform=lambda v, h: np.linalg.norm(h - 1 / 4, axis=(1, 2))),
    ),
    "h_res_attenuation": (
        "free",
        change_result(probe, MATRICES, h_res_attenuation=lambda v, h: np.linalg.svd(h, compute_uv=False)[:, 1]),
    ),
    "gain_fwd": ("free", change_result(probe, MATRICES, gain_fwd=lambda v, h: np.abs(h).sum(2).max(1))),
    "gain_bwd": ("free", change_result(probe, MATRICES, gain_bwd=lambda v, h: h.sum(1).mean(1))),
    "composite_gain_fwd": (
        "free",
        change_result(probe, COMPOSITES, composite_gain_fwd=with_logs(lambda v, h: np.abs(multiply(h).sum(1)).max(1))),
    ),
    "composite_gain_bwd": (
        "free",
        change_result(probe, COMPOSITES, composite_gain_bwd=with_logs(lambda v, h: np.abs(multiply(h).sum(1)).max(1))),
    ),
    "composite_norm_inf": (
        "free",
        change_result(
            probe, COMPOSITES, composite_norm_inf=with_logs(lambda v, h: np.linalg.norm(multiply(h), 2, axis=(1, 2)))
        ),
    ),
    "composite_norm_1": (
        "free",
        change_result(
            probe,
            COMPOSITES,
            composite_norm_1=with_logs(lambda v, h: np.abs(multiply(h, down=True).sum(1)).max(1)),
        ),
    ),
    "composite_min_col_sum": (
        "free",
        change_result(
            probe,
            COMPOSITES,
            composite_min_col_sum=with_logs(lambda v, h: np.abs(multiply(h, down=True)).sum(1).min(1)),
        ),
    ),
    "composite_sigma2": (
        "free",
        change_result(
            probe,
            COMPOSITES,
            composite_sigma2=with_logs(lambda v, h: np.linalg.svd(multiply(h), compute_uv=False)[:, 1]),
        ),
    ),
    # The product of the norms, and the product in the reverse order.
    "composite_sigma_max": (
        "free",
        change_result(
            probe,
            COMPOSITES,
            composite_sigma_max=with_logs(lambda v, h: np.cumprod(np.linalg.norm(h, 2, axis=(1, 2)))),
        ),
    ),
    "composite_sigma_min": (
        "static",
        change_result(
            probe,
            COMPOSITES,
            composite_sigma_min=with_logs(lambda v, h: np.linalg.svd(multiply(h[::-1]), compute_uv=False)[:, -1]),
        ),
    ),
    **{
        f"composite_gain_{way}_token{name}": ("unprojected", gains_of_sums if name == "s" else TOKENS[name.strip("_")])
        for way in ("fwd", "bwd")
        for name in ("s", "_min", "_median", "_mean", "_max")
    },
    "unfolded": ("static", replace(probe, "unfold", unfold_one_too_far)),
    "act_peak": ("static", change_columns(act_peak=lambda value: value**2)),
    "act_kurtosis": ("static", change_columns(act_kurtosis=lambda value: value - 3)),
    "act_token_peak": ("static", change_columns(act_token_peak=lambda value: value**2)),
    "act_token_kurtosis": ("static", change_columns(act_token_kurtosis=lambda value: value - 3)),
    "gates": ("gates", change_columns(gates=lambda value: value[..., ::-1])),
    "gates_std": ("gates", change_columns(gates_std=lambda value: value * 15 / 16)),
    "gate_spread": ("gates", change_columns(gate_spread=lambda value: value**2)),
    "read_effective_streams": ("dynamic", change_columns(read_effective_streams=lambda value: value**0.5)),
    "write_effective_streams": ("dynamic", change_columns(write_effective_streams=lambda value: value**0.5)),
    "value_weight_own": ("values", change_columns(value_weight_own=lambda value: value**2)),
    "value_weight_first": ("values", change_columns(value_weight_first=lambda value: 1 - value**2)),
    "kernel_rank": ("static", replace(probe, "measure_kernel_shares", share_without_the_last_read)),
    "kernel_shares": ("static", replace(probe, "measure_kernel_shares", share_without_the_last_read)),
    "gauge_read_norm": ("static", replace(probe, "measure_gauge_norms", gauge_one_layer_off)),
    # Apart from the mean as it is, in no other basis.
    "gauge_remainder": (
        "dynamic",
        average_wrongly("gauge_remainder", 2, lambda h: (h - h.mean(1, True)).square().sum((2, 3)).mean(1).sqrt()),
    ),
    "gauge_write_norm": ("static", replace(probe, "measure_gauge_norms", gauge_one_layer_off)),
    # Edits.
    "effect_state": ("edited", replace(effects, "measure_sizes", miss_the_size)),
    "effect_grad": ("edited", replace(effects, "measure_sizes", miss_the_size)),
    # Logits.
    "res_logit_range": ("static", replace(logit_probe, "measure_ranges", lambda t: t.std(2).amax(1))),
    "ds_error_float32": (
        "static",
        change_result(logit_probe, "measure_rounding", ds_error_float32=lambda v, t, to_matrices: v / 2),
    ),
    "ds_error_bfloat16": (
        "static",
        change_result(logit_probe, "measure_rounding", ds_error_bfloat16=lambda v, t, to_matrices: v / 2),
    ),
    # Shares.
    "branch_share": ("static", change_result(probe, "measure_branch_share", branch_share=skip_branch_share_square)),
    **{
        f"{name}_share_max": (
            "static",
            change_result(probe, "measure_shares", **{f"{name}_share_max": lambda v, _: v**0.5}),
        )
        for name in ("act", "read", "write")
    },
    **{
        f"{name}_share_entropy": (
            "static",
            change_result(probe, "measure_shares", **{f"{name}_share_entropy": lambda v, _: v * np.log(4)}),
        )
        for name in ("act", "read", "write")
    },
}


FAULTS |= {
    "jacobian_sigma_max": (
        "jacobian",
        change_result(jacobian, "measure_bidiagonal", jacobian_sigma_max=lambda v, *_: v**2),
    ),
    "jacobian_sigma_max_bound": (
        "jacobian",
        change_result(jacobian, "measure_bidiagonal", jacobian_sigma_max_bound=lambda v, *_: v * 2**0.5),
    ),
    "jacobian_sigma_min": (
        "jacobian",
        change_result(jacobian, "measure_bidiagonal", jacobian_sigma_min=lambda v, alpha, beta: alpha.min()),
    ),
    "jacobian_sigma_min_bound": (
        "jacobian",
        change_result(
            jacobian, "measure_bidiagonal", jacobian_sigma_min_bound=lambda v, alpha, beta: beta[-1] / 2**0.5
        ),
    ),
    "jacobian_ritz": (
        "jacobian",
        change_result(jacobian, "measure_bidiagonal", jacobian_ritz=lambda v, alpha, beta: np.sort(alpha)[::-1]),
    ),
    "jacobian_mismatch": (
        "jacobian",
        change_result(jacobian, "_measure_products", jacobian_mismatch=lambda v, found: found.alpha.max()),
    ),
    "step_loss": ("trained", change_step(step_loss=lambda v: v / np.log(2))),
    "step_lr": ("trained", replace(training, "learning_rate", lambda plan, step: plan.lr)),
    "step_grad_norm": ("trained", change_step(step_grad_norm=lambda v: v**2)),
    "step_param_grad_norm": (
        "trained",
        replace(training, "measure_groups", lambda groups: sum_norms(map(norms, groups))),
    ),
    "step_mixing_grad_norm": ("trained", change_step(step_mixing_grad_norm=lambda v: v[::-1])),
    "step_act_rms": ("trained", change_step(step_act_rms=lambda v: v**2)),
    "step_grad_rms": ("trained", change_step(step_grad_rms=lambda v: v / 4)),
    "step_cos_prev": ("trained", change_step(step_cos_prev=lambda v: np.roll(v, 1))),
    "step_cos_prev_p05": ("trained", change_step(step_cos_prev_p05=lambda v: np.roll(v, 1))),
    "step_cos_prev_p95": ("trained", change_step(step_cos_prev_p95=lambda v: np.roll(v, 1))),
    "step_token_cos": ("trained", change_step(step_token_cos=lambda v: v + (1 - v) / 16)),
    "step_gain_fwd": (
        "trained",
        change_result(step_frame, COMPOSITES, composite_gain_fwd=with_logs(lambda v, h: 1.05 * v)),
    ),
    "step_gain_bwd": (
        "trained",
        change_result(step_frame, COMPOSITES, composite_gain_bwd=with_logs(lambda v, h: v[::-1])),
    ),
    "step_h_pre": ("trained", change_step(step_h_pre=lambda v: v / v.sum(1, keepdims=True))),
    "step_h_read": ("parts, trained", change_step(step_h_read=lambda v: v[:, ::-1])),
    "step_h_post": ("trained", change_step(step_h_post=lambda v: v / 2)),
    "step_h_res": ("trained", change_step(step_h_res=lambda v: np.swapaxes(v, 1, 2))),
    "step_cka": ("trained", replace(similarity, "fill_centred_gram", gram_biased)),
    "step_act_rms_streams": ("trained", change_step(step_act_rms_streams=lambda v: v[:, ::-1])),
    "step_grad_rms_streams": ("trained", change_step(step_grad_rms_streams=lambda v: v[:, ::-1])),
    "step_stream_cos": ("trained", change_step(step_stream_cos=lambda v: v + (1 - v) / 4)),
    "step_value_weight_own": ("values, trained", change_step(step_value_weight_own=lambda v: v**2)),
    "step_value_weight_first": ("values, trained", change_step(step_value_weight_first=lambda v: 1 - v**2)),
    "step_unfolded": ("trained", replace(step_frame, "unfold", unfold_one_too_far)),
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", [*SPECS, *MORE])
def test_without_a_fault_every_check_holds(name: str) -> None:
    assert find_failures(pick(name), recompute_once(name)) == []


def test_every_metric_has_a_second_formula_and_a_planted_fault() -> None:
    assert set(REFERENCES) == set(METRICS)
    assert set(FAULTS) == set(METRICS)


@pytest.mark.sample(4)
@pytest.mark.parametrize("key", FAULTS)
def test_a_fault_in_the_code_of_a_metric_is_found(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, plant = FAULTS[key]
    recomputed = recompute_once(name)
    plant(monkeypatch)
    failed = find_failures(pick(name), recomputed)
    (found,) = (check for check in failed if (check.name, check.metric) == ("recomputation", key))
    assert (found.layer is None) is (METRICS[key].shape in ("", "K", "S"))
    assert found.expected != found.measured


@pytest.mark.full
@pytest.mark.parametrize("name", sorted({name for name, _ in FAULTS.values()}))
def test_all_faults_together_leave_the_recomputation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = recompute_once(name).columns
    for of, plant in FAULTS.values():
        if of == name:
            plant(monkeypatch)
    for key, column in recompute(pick(name)).columns.items():
        np.testing.assert_array_equal(column, right[key], err_msg=key)


@pytest.mark.sample(7)
@pytest.mark.parametrize("table", ["layers", "matrices"])
@pytest.mark.parametrize("name", SPECS)
def test_a_value_that_is_five_percent_too_large_is_found_in_every_column(name: str, table: str) -> None:
    """Where it is largest: what is close to zero, or rounding, may change by so little unseen."""
    result = collect(list(run(pick(name))))
    columns, changed = getattr(result, table), set()
    for key, column in columns.items():
        if key == "ds_error_bfloat16" or not np.nan_to_num(np.abs(column)).max() > 1e-4:
            continue
        at = np.unravel_index(int(np.nanargmax(np.abs(column))), column.shape)
        columns[key] = column.copy()
        columns[key][at] *= 1.05
        if key in result.layers_log10:
            result.layers_log10[key][at] += np.log10(1.05)
        changed.add(key)
    checks = verify(pick(name), result, recompute_once(name))
    assert changed <= {check.metric for check in checks if check.name == "recomputation" and check.verdict == "fails"}


# Formulas of the coefficients.


def softmax_pre(*arguments: Any) -> Mixing:
    t_pre, dtype = arguments[0], arguments[4]
    return to_mixing(*arguments)._replace(h_pre=torch.softmax(t_pre, -1).to(dtype))


def halved_post(*arguments: Any) -> Mixing:
    made = to_mixing(*arguments)
    return made._replace(h_post=made.h_post / 2)


def transposed_res(*arguments: Any) -> Mixing:
    made = to_mixing(*arguments)
    return made._replace(h_res=made.h_res.mT)


to_mixing = manifold._to_mixing
FORMULAS = {"map_pre": softmax_pre, "map_post": halved_post, "map_res": transposed_res}
FAMILIES = (
    "mhc", "mhc_lite", "kromhc", "orthostochastic", "identity_hc", "orthogonal", "jpmhc", "quaternion", "shc",
)  # fmt: skip
INITS = ("residual", "mhc_lite", "lucidrains", "megatron", "deepseek_v4")


def check_family(kind: str, init: str, *, dynamic: bool, dtype: str = "float32") -> list[str]:
    connection = {"kind": kind, "init": init, "dynamic": dynamic, "noise": 0.5}
    spec = build_spec(BASE, depth=3, connection=connection, dtype=dtype)
    return [check.name for check in find_failures(spec, recompute(spec))]


@pytest.mark.sample(24, "pairs")
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("init", ["residual", "deepseek_v4"])
@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("law", FORMULAS)
def test_a_wrong_formula_of_the_coefficients_is_found(
    law: str, kind: str, init: str, dynamic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the preset hides it: with `residual`, sigmoid and softmax both give 1/n, and no token is projected."""
    monkeypatch.setattr(manifold, "_to_mixing", FORMULAS[law])
    symmetric = law == "map_res" and kind in ("kromhc", "identity_hc")  # whose matrices are their own transposes
    assert (law in check_family(kind, init, dynamic=dynamic)) is not symmetric


def test_a_wrong_projection_is_found_where_the_preset_projects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    right: Any = manifold.project

    def wrong(v: torch.Tensor, *more: Any) -> Any:
        return right(2 * torch.nn.functional.normalize(v, dim=1), *more[:-1], 1.0)  # an eps that is not negligible

    monkeypatch.setattr(manifold, "project", wrong)
    assert {"map_pre", "map_post", "map_res"} <= set(check_family("mhc", "residual", dynamic=True))


@pytest.mark.parametrize("layer", ["StaticHC", "DynamicHC"])
def test_a_transposed_matrix_of_hc_is_found(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method = "dynamic_mixing" if layer == "DynamicHC" else "static_mixing"
    right = getattr(getattr(hc, layer), method)

    def wrong(self: Any, *arguments: Any) -> Mixing:
        made: Mixing = right(self, *arguments)
        return made._replace(h_res=made.h_res.mT)

    monkeypatch.setattr(getattr(hc, layer), method, wrong)
    spec = build_spec(BASE, depth=3, connection={"kind": "hc", "noise": 0.5, "dynamic": layer == "DynamicHC"})
    assert "map_res" in [check.name for check in find_failures(spec, recompute(spec))]


@pytest.mark.full
@pytest.mark.sample("values", "values")
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("kind", FAMILIES)
def test_right_formulas_hold(kind: str, init: str, dynamic: bool, dtype: str) -> None:
    assert check_family(kind, init, dynamic=dynamic, dtype=dtype) == []
