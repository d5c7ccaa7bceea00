"""The distance of an edited run's states and gradients from those of the same run without edits."""

from functools import partial

from mhc_core.figures.panel import Column, Help, Panel, Template, View, build_curves
from mhc_core.figures.style import Theme

ABSENT = "No edits: nothing to compare."


def build(key: str, runs: int, theme: Theme) -> Template:
    """Build a figure with one curve per run: a relative distance at each layer."""
    return build_curves(key, "log", runs, theme, absent={"key": key, "text": ABSENT})


PANEL = Panel(
    key="effect",
    title="Effect of the edits",
    unit="relative distance",
    meaning="How much an edited run differs at each layer from the same run without edits: 1 is as much as there was.",
    help=Help(
        formula="|x_l − x_l^base| / |x_l^base|; of gradients |g_l − g_l^base| / |g_l^base|",
        reading="A curve that falls after an edit means that later layers make up for it: what they add is the same "
        "as without the edit, and the damage is diluted. A curve that rises means that the damage grows. Before the "
        "first edit the states are the same and have no point; gradients pass the edits on their way down and differ "
        "there too.",
        symbol="Δx_l, Δg_l",
        source="As defined here.",
    ),
    group="mixing",
    live=True,
    views=(
        View("states", "states", partial(build, "effect_state")),
        View("gradients", "gradients", partial(build, "effect_grad")),
    ),
    table=(Column("states", "effect_state"), Column("gradients", "effect_grad")),
)
