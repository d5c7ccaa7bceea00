"""All layers share one projection by mistake: it is made once, with the class."""

import torch
from torch import nn

from tests.core.conformance.plain import STREAMS, WIDTH, PlainMHC

PROJECTION = nn.Parameter(torch.zeros(STREAMS * WIDTH, STREAMS * (STREAMS + 2)))


class Shared(PlainMHC):
    def __init__(self) -> None:
        super().__init__()
        self.phi = PROJECTION
