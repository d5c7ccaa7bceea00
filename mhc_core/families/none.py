"""No connection: each layer's output replaces the signal. Residual learning was invented to avoid this."""

from mhc_core.family import Family, Look

FAMILY = Family(
    name="Plain",
    summary="feed-forward, without a skip path",
    place=0,
    look=Look("#61263e", "#b77586", "4px,2px", "x"),
    streams="one",
    skips=False,
    rows="free",
    columns="free",
    by_token=False,
    drawn="nothing",
    build="mhc_core.layers.residual:build_none",
    keeps="each layer computes from the last one alone",
    gives_up="a path around the layers: signal and gradient shrink or grow with depth",
)
