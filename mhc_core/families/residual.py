"""The residual connection (arXiv 1512.03385): each layer adds its output to the state."""

from mhc_core.family import Family, Look

FAMILY = Family(
    name="Residual",
    summary="the state passes each layer by",
    year=2015,
    place=1,
    look=Look("#5b6472", "#aab2bd", "2px,3px", "circle", 3.0),
    streams="one",
    by_token=False,
    drawn="nothing",
    build="mhc_core.layers.residual:build_residual",
    paper="arXiv 1512.03385",
    parent="none",
    keeps="a path around every layer, of gain 1",
    gives_up="a choice: all layers share one stream",
)
