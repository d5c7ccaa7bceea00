"""Magnitude of the gradient at the output of each layer."""

from functools import partial

from mhc_core.figures.panel import STALE_NUMERICS, Column, Help, Panel, View, build_curves
from mhc_core.figures.panels.theory import build as build_theory

PANEL = Panel(
    key="gradient",
    title="Gradient",
    unit="rms of the sum over streams",
    meaning="Magnitude of the gradient at each layer. Backpropagation runs from right to left.",
    help=Help(
        formula="rms(Σ_i g_l[i]), g_l = d loss / d x_l",
        reading="Flat is good: early and late layers learn at the same rate. A curve that falls by powers of ten "
        "means that one end of the stack gets almost no gradient, or the other end far too much. In a pre-norm stack "
        "the last norm divides it by the size of the signal, so it starts small where activations end large; the "
        "backward gain, which is of the mixing alone, leaves that out. At a training step it is measured on that "
        "step's batch, before the update.",
        symbol="∂ loss / ∂ x_l",
        source="The sum over streams is the only gradient that can be compared across stream counts. For "
        "identical streams it equals the gradient of the residual network.",
    ),
    group="strip",
    live=True,
    views=(
        View("log", "log", partial(build_curves, "grad_rms", "log", unknown=STALE_NUMERICS)),
        View("linear", "linear", partial(build_curves, "grad_rms", "linear", include=(0.0,), unknown=STALE_NUMERICS)),
        View("theory", "theory", partial(build_theory, "grad_rms", "log")),
    ),
    table=(Column("rms", "grad_rms"),),
    follows_step=True,
)
