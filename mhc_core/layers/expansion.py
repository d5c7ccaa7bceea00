"""How the embedding becomes streams that differ: each is the embedding times a learned vector of its own.

    x_0[s] = scale[s] * e,  scale = 0.6 + U(-r, r),  r = sqrt(6 / (n + C)),  Xavier's bound for an n x C matrix

Identical streams stay identical under rows that sum to 1, whatever the mixing is, so that the mixing has no gradient;
streams that differ break that symmetry. As `StreamExpandLSS` in the code of brain-lab-research/hc-stream-collapse
(`hyper_conn/mhc_lite.py`) for arXiv 2606.03483, which was not read.
"""

import math

from torch import nn

from mhc_core.rng import uniform
from mhc_core.spec import RunSpec

CENTRE = 0.6


def build_scale(spec: RunSpec) -> nn.Parameter | None:
    """Build the vectors (n, C) that the streams of a spec start with; None where they are copies of the embedding."""
    if not spec.connection.scales_streams:
        return None
    n, width = spec.streams, spec.width
    bound = math.sqrt(6 / (n + width))
    return nn.Parameter(CENTRE + bound * (2 * uniform(spec.seed, "expand", -1, n, width).double() - 1))
