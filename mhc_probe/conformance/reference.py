"""Compare a module with our own connection, given the same parameters and states."""

from collections.abc import Iterator

import torch
from torch import nn

from mhc_core.layers.connections import Mixing, build_connection
from mhc_core.layers.hc import DynamicHC
from mhc_core.layers.manifold import DynamicManifold
from mhc_core.spec import RunSpec, SpecErrors, parse_spec
from mhc_probe.conformance.bench import Bench, NotApplicable, NotMeasured, ObservedMixing
from mhc_probe.conformance.module_check import ModuleCheck, format_number, judge
from mhc_probe.conformance.options import FamilyOptions
from mhc_probe.conformance.roles import ParameterEntry
from mhc_probe.conformance.sinkhorn import find_layout, get_law, is_applied_elsewhere

AGREES = 2e-3


@torch.no_grad()
def check_reference(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check the coefficients against our connection with the module's parameters."""
    if options.family.residual not in ("sinkhorn", "free"):
        raise NotApplicable("our connection of this family has other parameters")
    roles = bench.roles
    for target in options.targets:
        if any(target not in known for known in (roles.bias, roles.phi, roles.gate)):
            if not bench.is_dynamic:
                raise NotApplicable("coefficients are static: their laws have checks of their own")
            raise NotMeasured(f"no bias, projection and gate of H_{target} were found")
    if any(bench.subject.module.get_parameter(name).squeeze().ndim > 1 for name in roles.gain):
        raise NotApplicable("the projection is a product, and ours is one matrix: see logits")
    bench.reset()
    observed = bench.observe()
    differences = [_measure_difference(observed, theirs) for theirs in _list_references(bench, options)]
    if not differences:
        raise NotApplicable("projections have a shape that ours do not have: see logits")
    nearest = min(differences)
    return judge(
        "reference",
        "our connection with the same parameters has the same coefficients",
        f"differences below {AGREES:g}",
        format_number(nearest),
        "from mhc_probe.conformance.options import FamilyOptions\n"
        "from mhc_probe.conformance.reference import check_reference\n"
        f"print(bench.observe().h_res[0, 0], check_reference(bench, FamilyOptions({options.name!r})).measured)",
        "a factor in the logits, a norm that divides by the length instead of the rms, or another order of the state",
        is_right=nearest < AGREES,
    )


def _list_references(bench: Bench, options: FamilyOptions) -> Iterator[Mixing]:
    """Yield our mixing for both orders in which a projection may index the flattened state: (n, C) and (C, n)."""
    states = [bench.x, bench.x.transpose(2, 3).reshape_as(bench.x)]
    for x in states:
        build = _build_hc if options.family.residual == "free" else _build_mhc
        mixing = build(bench, options, x.flatten(0, 1).float().cpu())
        if mixing is not None:
            yield mixing


def _build_hc(bench: Bench, options: FamilyOptions, x_NnC: torch.Tensor) -> Mixing | None:
    """Return the mixing of our dynamic HC with the module's parameters; None if a projection has another shape."""
    connection = DynamicHC(_parse_our_spec(bench, options, "hc"))
    layer, phi, sizes = connection.mixers[0], {}, {"pre": 1, "post": 1, "res": bench.n}
    for target in options.targets:
        projection = _get_projection(bench, target)
        if projection is None or projection.shape != (bench.width, sizes[target]):
            return None
        phi[target] = projection
    parameters = {
        "a_m": _get_entries(bench, bench.require_bias("pre")),
        "b": _get_entries(bench, bench.require_bias("post")),
        "a_r": _get_entries(bench, bench.require_bias("res")).view(bench.n, bench.n).T,
        "w_m": phi["pre"],
        "w_b": phi["post"],
        "w_r": phi["res"],
        "s_a": _get_entries(bench, [bench.roles.gate["pre"]])[0],
        "s_b": _get_entries(bench, [bench.roles.gate["post"]])[0],
    }
    _set_parameters(layer, parameters)
    mixing: Mixing = layer(x_NnC)
    return mixing


def _build_mhc(bench: Bench, options: FamilyOptions, x_NnC: torch.Tensor) -> Mixing | None:
    """Return the mixing of our dynamic mHC with the module's parameters; None if a projection has another shape.

    Raises
    ------
    NotMeasured
        If the module's eps is larger than ours can be.
    """
    law, n = get_law(bench, options).law, bench.n
    if law.eps > options.max_eps:
        raise NotMeasured("ours takes no eps of that size: see eps")
    phi = [_arrange_projection(bench, target) for target in options.targets]
    if any(part is None for part in phi):
        return None
    is_per_stream = len(bench.roles.phi["post"].indices) == bench.width
    connection = build_connection(
        _parse_our_spec(bench, options, "lucidrains" if is_per_stream else "residual", law.eps)
    )
    assert isinstance(connection, DynamicManifold)
    layer = connection.mixers[0]
    is_turned = law.last == "columns" and (find_layout(bench) == "input next to H_pre" or is_applied_elsewhere(bench))
    res = _get_entries(bench, bench.require_bias("res")).view(n, n)
    phi_res = phi[2].view(-1, n, n)  # type: ignore[union-attr]
    parameters = {
        "phi": torch.cat([phi[0], phi[1], (phi_res.mT if is_turned else phi_res).flatten(1)], 1),  # type: ignore[list-item]
        "b_pre": _get_entries(bench, bench.require_bias("pre")),
        "b_post": _get_entries(bench, bench.require_bias("post")),
        "b_res": (res.T if is_turned else res).flatten(),
        "a": _get_entries(bench, [bench.roles.gate[target] for target in options.targets]),
    }
    _set_parameters(layer, parameters)
    mixing: Mixing = layer(x_NnC)
    return mixing._replace(h_res=mixing.h_res.mT) if is_turned else mixing


def _parse_our_spec(bench: Bench, options: FamilyOptions, init: str, eps: float = 0.0) -> RunSpec:
    """Return a spec of one layer with our connection. Raise NotApplicable if there is no such connection."""
    connection = {"kind": options.name, "streams": bench.n, "dynamic": True, "noise": 0.0}
    if options.family.residual == "sinkhorn":
        connection |= {"init": init, "sinkhorn_eps": eps, "sinkhorn_iters": options.rounds}
    # A width that every spec allows: the parameters, and with them the width, are replaced afterwards.
    try:
        return parse_spec({"depth": 1, "width": 16, "block": {"kind": "mlp"}, "connection": connection})
    except SpecErrors as error:
        raise NotApplicable(f"ours has no such connection: {error}") from error


def _set_parameters(layer: nn.Module, parameters: dict[str, torch.Tensor]) -> None:
    """Copy values into parameters of our layer, by their names."""
    for name, value in parameters.items():
        setattr(layer, name, nn.Parameter(value))


def _get_entries(bench: Bench, places: list[ParameterEntry]) -> torch.Tensor:
    """Return entries of the module's parameters, (K), in float32 on the CPU."""
    values = [bench.subject.module.get_parameter(place.name).view(-1)[place.entry] for place in places]
    return torch.stack(values).float().cpu()


def _get_projection(bench: Bench, target: str) -> torch.Tensor | None:
    """Return a target's projection as (inputs, logits), in whichever order it is stored; None if it is no matrix.

    Logits have the order in which the parameters store them, which is that of the bias's entries.
    """
    name, indices = bench.roles.phi[target]
    parameter, is_res, per_stream = bench.subject.module.get_parameter(name), target == "res", bench.width
    sizes = {per_stream: 1, per_stream * bench.n: bench.n} if is_res else {per_stream: 1}
    logits = sizes.get(len(indices)) or len(indices) // (bench.n * bench.width)
    if not logits or len(indices) % logits:
        return None
    shape, inputs = parameter.squeeze().shape, len(indices) // logits
    values = parameter.detach().view(-1)[indices.to(parameter.device)].float().cpu()
    if len(shape) == 2 and shape[1] == inputs and shape[0] != inputs:
        return values.view(logits, inputs).T
    return values.view(inputs, logits)


def _arrange_projection(bench: Bench, target: str) -> torch.Tensor | None:
    """Return a module's projection in our connection's form, (n C, K), with columns ordered as the logits."""
    phi, n = _get_projection(bench, target), bench.n
    if phi is None:
        return None
    ranks = [bench.roles.bias[target].index(place) for place in bench.require_bias(target)]
    if len(phi) == n * bench.width:
        return phi[:, ranks] if phi.shape[1] == len(ranks) else None
    per_stream = torch.einsum("st,ck->sctk", torch.eye(n), phi)  # each stream's logits from that stream alone
    return per_stream.reshape(n * bench.width, -1)[:, ranks]


def _measure_difference(observed: ObservedMixing, ours: Mixing) -> float:
    """Return the largest absolute difference of all measured coefficients from ours."""
    pairs = zip((observed.h_pre, observed.h_post, observed.h_res), ours, strict=True)
    differences = [(got.flatten(0, 1).cpu() - our).abs().max() for got, our in pairs if got is not None]
    return torch.stack(differences).max().item()
