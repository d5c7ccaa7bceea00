"""Find with which weights a function has read a list of sources, from its result and the parameters of a module.

A function reads K sources by attention over depth, and may also apply the norm of the branch that follows:

    h = sum_i a_i s_i,  a = softmax_i(c (g q) . s_i / rms(s_i)),  u = h  or  u = w h / rms(h)

q is a matrix of one row, g and w are vectors; c is 1, or one over the square root of the width. The formulas are those
of flash-linear-attention, `fla/ops/attnres/naive.py`. The autograd graph of u shows which parameters were used.

Shapes: N samples, C width, K sources.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from mhc_core.layers.depth import KEY_EPS
from mhc_probe.laws import find_tolerance
from mhc_probe.recording.depth import DepthSource, to_wide_dtype, weigh
from mhc_probe.recording.edges import list_leaves
from mhc_probe.recording.hyper import find_autocast

EPSILONS = (KEY_EPS, 1e-5, 1e-8, torch.finfo(torch.float32).eps)  # tried eps of the norms; the last is torch's default
ROWS = 64  # number of samples for the search of a form, which is then confirmed with all samples


class ListForm(NamedTuple):
    """The parameters and the variant with which a function reads its sources.

    Attributes
    ----------
    query, gain: the query, None for a single source, and the gain of the keys' norm.
    is_scaled: whether logits are divided by the square root of the width.
    is_normed: whether the function returns the RMSNorm of the weighted sum.
    norm: the gain of that norm.
    eps: eps of all norms.
    """

    query: nn.Parameter | None = None
    gain: nn.Parameter | None = None
    is_scaled: bool = False
    is_normed: bool = False
    norm: nn.Parameter | None = None
    eps: float = KEY_EPS

    def list_parameters(self) -> list[nn.Parameter]:
        return [one for one in (self.query, self.gain, self.norm) if one is not None]

    def list_mixing(self) -> list[nn.Parameter]:
        """Return the parameters that determine the weights over depth."""
        return [one for one in (self.query, self.gain) if one is not None]


class ListRead(NamedTuple):
    """One read: u as the branch receives it, h at least in float32, and the attention over depth, (N, K, 1).

    Attributes
    ----------
    state: h in the type of u, or u itself if no norm is applied.
    """

    form: ListForm
    u: torch.Tensor
    h: torch.Tensor
    attention_NK1: torch.Tensor
    state: torch.Tensor

    def build_pull_back(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """Return a function from the gradient at u to the gradient at h; None if h is u."""
        if not self.form.is_normed:
            return None
        gain = None if self.form.norm is None else self.form.norm.detach().clone()
        return partial(_pull_back, self.h, self.form.eps, gain)


class ReadFinder:
    """Finds the forms of a module's reads, and stores them for later passes.

    parameters: the module's parameters, of which vectors and matrices of one row may be used in reads.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.vectors = [one for one in parameters if one.numel() == one.shape[-1:].numel()]
        self._form_by_number: dict[int, ListForm] = {}

    def find(
        self,
        number: int,
        u: torch.Tensor,
        sources: Sequence[DepthSource],
        ends: Sequence[torch.Tensor],
        *,
        is_known: bool,
    ) -> ListRead | None:
        """Return the read that computed a tensor u from these sources; None if none did.

        Parameters
        ----------
        number: index of the read among those of the module.
        ends: tensors from which the sources were computed, with their graph.
        is_known: whether to try only the form of earlier passes, instead of all forms.
        """
        number = number if len(sources) > 1 else -1  # without a query
        stacked = torch.stack([source.values.flatten(0, -2).to(u.device) for source in sources])
        x_KNC, u_NC = stacked.to(to_wide_dtype(u.dtype)), u.detach().flatten(0, -2)
        tolerance = find_tolerance(u.dtype, autocast=find_autocast(u))
        if is_known:
            forms = iter(self._list_known(number, u, ends))
            # Accept infinite states, which training may cause after the form was found.
            tolerance = tolerance if bool(torch.isfinite(u_NC).all()) else math.inf
        else:
            few = torch.linspace(0, len(u_NC) - 1, min(ROWS, len(u_NC)), device=u.device).long()
            forms = _search(self._list_usable(u, ends), x_KNC[:, few], u_NC[few], tolerance)
        for form in forms:
            h_NC, attention = _read(form, x_KNC)
            if _measure_error(form, h_NC, u_NC) <= tolerance:
                self._form_by_number[number] = form
                h = h_NC.view(u.shape)
                return ListRead(form, u, h, attention, h.to(u.dtype) if form.is_normed else u)
        return None

    def _list_known(self, number: int, u: torch.Tensor, ends: Sequence[torch.Tensor]) -> list[ListForm]:
        """Return the form of earlier passes; [] if the graph lacks its parameters.

        With a query of 0, an earlier pass may have found wrong parameters.
        """
        if number not in self._form_by_number:
            return []
        form, usable = self._form_by_number[number], {id(vector) for vector in self._list_usable(u, ends)}
        return [form] if all(id(one) in usable for one in form.list_parameters()) else []

    def _list_usable(self, u: torch.Tensor, ends: Sequence[torch.Tensor]) -> list[nn.Parameter]:
        """Return the vectors from which a tensor may have been computed: those in its graph, or all without a graph."""
        fitting = [vector for vector in self.vectors if vector.shape[-1] == u.shape[-1]]
        if u.grad_fn is None:
            return fitting
        leaves = {id(leaf) for leaf in list_leaves(u, ends)}
        return [vector for vector in fitting if id(vector) in leaves or not vector.requires_grad]


def _search(
    vectors: Sequence[nn.Parameter], x_KNC: torch.Tensor, u_NC: torch.Tensor, tolerance: float
) -> Iterator[ListForm]:
    """Yield the forms that explain a read u with these vectors as parameters.

    If queries are 0 or gains are 1, several forms do. The first then takes the vector after the query as the gain of
    the keys.
    """
    for eps in EPSILONS:
        for weights in _list_query_forms(vectors) if len(x_KNC) > 1 else [ListForm()]:
            plain = weights._replace(eps=eps)
            h_NC, _ = _read(plain, x_KNC)
            rest = [one for one in vectors if one is not weights.query and one is not weights.gain]
            normed = [plain._replace(is_normed=True, norm=norm) for norm in (*rest, None)]
            for form in [*(normed if _may_be_normed(h_NC, u_NC, eps, tolerance) else []), plain]:
                if _measure_error(form, h_NC, u_NC) <= tolerance:
                    yield form


def _may_be_normed(h_NC: torch.Tensor, u_NC: torch.Tensor, eps: float, tolerance: float) -> bool:
    """Return whether u is the RMSNorm of h with some gain, namely the one with the smallest error."""
    z_NC, wide_NC = h_NC * _invert_size(h_NC, eps), u_NC.to(h_NC.dtype)
    gain_C = (z_NC * wide_NC).sum(0) / z_NC.square().sum(0).clamp_min(torch.finfo(z_NC.dtype).tiny)
    return bool((z_NC * gain_C - wide_NC).norm() <= tolerance * wide_NC.norm())


def _list_query_forms(vectors: Sequence[nn.Parameter]) -> Iterator[ListForm]:
    """Yield the forms with each possible pair of query and gain: queries in order, for each the nearest gain first."""
    for place, query in enumerate(vectors):
        if query.ndim == 2:
            near = sorted(range(len(vectors)), key=partial(_rank, place))
            for gain in (*(vectors[k] for k in near if k != place), None):
                yield ListForm(query, gain)
                yield ListForm(query, gain, is_scaled=True)


def _rank(place: int, other: int) -> tuple[int, bool]:
    return abs(other - place), other < place


def _read(form: ListForm, x_KNC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the weighted sum h (N, C), before any norm, and the attention over depth, (N, K, 1)."""
    if form.query is None:
        return x_KNC[0], torch.ones_like(x_KNC[:, :, :1]).transpose(0, 1)
    query_C = form.query.detach().to(x_KNC).flatten()
    query_C = query_C if form.gain is None else query_C * form.gain.detach().to(query_C).flatten()
    inverse_KN = torch.rsqrt(x_KNC.square().mean(-1) + form.eps)
    attention, values = weigh(query_C.unsqueeze(0), x_KNC, inverse_KN, form.is_scaled, is_normed=False)
    return torch.einsum("nkh,knc->nc", values, x_KNC), attention


def _measure_error(form: ListForm, h_NC: torch.Tensor, u_NC: torch.Tensor) -> float:
    """Return the relative distance between the computed read and the branch's input u; inf if it is not finite."""
    made = h_NC * _invert_size(h_NC, form.eps) if form.is_normed else h_NC
    made = made if form.norm is None else made * form.norm.detach().to(made).flatten()
    error = float((made - u_NC).norm() / u_NC.to(made.dtype).norm())
    return error if math.isfinite(error) else math.inf


def _invert_size(h: torch.Tensor, eps: float) -> torch.Tensor:
    return torch.rsqrt(h.square().mean(-1, keepdim=True) + eps)


@torch.no_grad()
def _pull_back(h: torch.Tensor, eps: float, gain: torch.Tensor | None, grad: torch.Tensor) -> torch.Tensor:
    """Return the gradient at h from `grad`, that at its RMSNorm: (g - z mean(z g)) / rms(h).

    Here z = h / rms(h), and g is `grad` times the gain.
    """
    g = grad.to(h.dtype)
    g = g if gain is None else g * gain.to(g).flatten()
    inverse = _invert_size(h, eps)
    z = h * inverse
    return (g - z * (z * g).mean(-1, keepdim=True)) * inverse
