"""Magnitude of the signal at the output of each layer."""

from functools import partial

from mhc_core.figures.panel import STALE_NUMERICS, Column, Help, Panel, View, build_curves
from mhc_core.figures.panels.theory import build as build_theory

PANEL = Panel(
    key="activation",
    title="Activation",
    unit="rms of the stream mean",
    meaning="Magnitude of the signal at the output of each layer: root mean square of the mean over streams.",
    help=Help(
        formula="rms(m_l), m_l = (1/n) Σ_i x_l[i], over tokens and features",
        reading="A pre-norm residual stack grows like the square root of depth. Exponential growth or decay "
        "is a straight line on the log axis: every layer then multiplies the signal by the same "
        "factor. At a training step it is measured on that step's batch, before the update.",
        symbol="rms(m_l)",
        source="If the columns of H_res sum to 1, the stream mean evolves as in the residual network.",
    ),
    group="strip",
    live=True,
    views=(
        View("log", "log", partial(build_curves, "act_rms", "log", unknown=STALE_NUMERICS)),
        View("linear", "linear", partial(build_curves, "act_rms", "linear", include=(0.0,), unknown=STALE_NUMERICS)),
        View("theory", "theory", partial(build_theory, "act_rms", "log")),
    ),
    table=(Column("rms", "act_rms"),),
    follows_step=True,
)
