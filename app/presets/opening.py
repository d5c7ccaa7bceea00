"""What a visitor sees before touching anything.

mHC starts here as mHC-lite's public code does, where each layer reads and writes mainly one stream, in turn. With the
other starts its streams stay copies of each other, so that its curves lie on those of the residual network.
"""

from app.presets.preset import HC, RESIDUAL, compare

OPENING = compare(
    "start",
    "opening",
    "Residual, HC and mHC, layer by layer",
    "The same 64 layers joined in three ways, with the same drift on the mixing of HC and mHC.",
    {"Residual": RESIDUAL, "HC": HC, "mHC": {"connection": {"kind": "mhc", "init": "mhc_lite"}}},
)
