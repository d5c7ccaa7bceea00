"""Makes streams that differ from the embedding: each stream is the embedding times a separate learned vector.

    x_0[s] = scale[s] * e,  scale = 0.6 + U(-r, r),  r = sqrt(6 / (n + C)),  Xavier's bound for an n x C matrix

If all rows of H_res sum to 1, identical streams stay identical under any mixing, so that the mixing has no gradient.
Streams that differ break that symmetry. Formula as in `StreamExpandLSS` in the code of
brain-lab-research/hc-stream-collapse (`hyper_conn/mhc_lite.py`) for arXiv 2606.03483. The paper was not read.
"""

import math

from torch import nn

from mhc_core.rng import uniform
from mhc_core.spec import RunSpec

CENTRE = 0.6


def build_scale(spec: RunSpec) -> nn.Parameter | None:
    """Build the vectors (n, C) by which the embedding is multiplied to make the streams; None if streams are copies of
    it.
    """
    if not spec.connection.scales_streams:
        return None
    n, width = spec.streams, spec.width
    bound = math.sqrt(6 / (n + width))
    return nn.Parameter(CENTRE + bound * (2 * uniform(spec.seed, "expand", -1, n, width).double() - 1))
