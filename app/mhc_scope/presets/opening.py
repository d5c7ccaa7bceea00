"""Define the comparison that the page shows first.

mHC has the initialisation of lucidrains' public code here, because its mixing is visible: with drift 0.3 a layer moves
53 % of a stream's weight to other streams (75 % with DeepSeek-V4's initialisation, 0.1 % with those of mHC-lite and of
the residual network), and 64 layers have a gain of 1.000 forward and backward. With DeepSeek-V4's initialisation, all
streams are read and written with equal weights, so that its curves coincide with those of the residual network. With
that of lucidrains, each layer reads one stream, in turn, more than the others (H_pre 0.73 and 0.50), and writes all of
them with 1.46: the activation is 10.9 at the end, and 7.3 in the residual network.

The streams remain copies of each other with both (cosine 1.00), because doubly stochastic mixing averages differences:
39 % of them survive one layer, and 1 % three layers. Only with mHC-lite's initialisation, which hardly mixes, streams
remain different (cosine 0.77).
"""

from mhc_scope.presets.preset import HC, MIXING_MHC, RESIDUAL, compare

OPENING = compare(
    "start",
    "opening",
    "One signal, 64 layers, three ways to connect them",
    "The same 64 layers connected in three ways, with the same drift on the mixing of HC and mHC.",
    {"Residual": RESIDUAL, "HC": HC, "mHC": MIXING_MHC},
)
