"""Attention Residuals (arXiv 2603.15031): a layer reads all earlier outputs, weighed by attention over depth.

The sources are the embedding and the outputs of the layers, or sums of the outputs of a block of layers. The definition
follows public code: fla-org/flash-linear-attention, `fla/ops/attnres/naive.py` (the weights); wdlctc/hyper-connection-
factory, `hcfactory/connections/depth_attention.py` (blocks, heads as in MHAR, the delta form); Inkling2 in transformers
(values that are normed).
"""

from mhc_core.family import Family, Look, Use

FAMILY = Family(
    name="AttnRes",
    summary="Attention Residuals, which read all earlier outputs by attention over depth",
    year=2026,
    place=20,
    look=Look("#1f1c14", "#ffe0b2", "6px,2px,2px,2px", "star-triangle-up"),
    streams="one",
    reads="outputs",
    rows="free",
    columns="free",
    norm_bounded=False,
    by_token=False,
    drawn="queries",
    build="mhc_core.connections.depth:build_depth_attention",
    paper="arXiv 2603.15031",
    parent="residual",
    keeps="every earlier output, with a weight that each layer learns",
    gives_up="one state: a layer reads all outputs before it, from memory that grows with depth",
    uses=(Use("Inkling2", "transformers, models/inkling2"),),
)
