"""Sources that several metrics share."""

OURS = "as defined here"
AMAX = "mHC, Amax gain magnitude"
