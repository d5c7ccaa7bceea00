"""Define what a visitor sees first.

mHC starts here as lucidrains' public code does, because its mixing is visible: with drift 0.3 a layer moves 53 % of a
stream's weight to other streams (75 % with DeepSeek-V4's start, 0.1 % with mHC-lite's and the residual-equivalent one),
and 64 layers have a gain of 1.000 forward and backward. DeepSeek-V4's start reads and writes all streams alike, so its
curves coincide with those of the residual network. lucidrains' reads one stream more than the others (H_pre 0.73 and
0.50), in turn, and writes all of them with 1.46: its activations end at 10.9 where those of the residual network end at
7.3.

The streams themselves stay copies of each other with both (cosine 1.00), because doubly stochastic mixing averages
differences: 39 % of them survive one layer and 1 % three. Only mHC-lite's start, which hardly mixes, keeps streams
different (cosine 0.77).
"""

from mhc_scope.presets.preset import HC, MIXING_MHC, RESIDUAL, compare

OPENING = compare(
    "start",
    "opening",
    "One signal, 64 layers, three ways to connect them",
    "The same 64 layers connected in three ways, with the same drift on the mixing of HC and mHC.",
    {"Residual": RESIDUAL, "HC": HC, "mHC": MIXING_MHC},
)
