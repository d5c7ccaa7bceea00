"""How much a container may hold. A reader stops at the first limit that is passed, so that its memory stays bounded."""

from dataclasses import dataclass

MAX_LAYERS = 2048
MAX_STREAMS = 64
MAX_MIXING_ENTRIES = 2**20  # layers x streams^2: a table of this size is made as soon as one layer has a matrix
MAX_DIRECTORY_BYTES = 4096  # of the two members, with what other programs add to an entry
MAX_MANIFEST_BYTES = 16_384


@dataclass(frozen=True)
class ContainerLimits:
    """Bounds on the frames of one container.

    Attributes
    ----------
    size_bytes: all lines together, unpacked.
    line_bytes: one line with its newline.
    lines: how many.
    ratio: unpacked bytes for each packed one; checked beyond the first `RATIO_FREE_BYTES`.
    """

    size_bytes: int = 2**30
    line_bytes: int = 2**23
    lines: int = 100_000
    ratio: int = 200


RATIO_FREE_BYTES = 1_000_000
