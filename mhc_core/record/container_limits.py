"""Limits of the size of a container. A reader stops at the first limit that is exceeded, which bounds its memory."""

from dataclasses import dataclass

MAX_LAYERS = 2048
MAX_STREAMS = 64
MAX_MIXING_ENTRIES = 2**20  # layers x streams^2: an array of this size is allocated for the first matrix
MAX_DIRECTORY_BYTES = 4096  # zip directory of the two members, with room for extra fields of other programs
MAX_MANIFEST_BYTES = 16_384


@dataclass(frozen=True)
class ContainerLimits:
    """Limits of the frames of one container.

    Attributes
    ----------
    size_bytes: size of all lines together, unpacked.
    line_bytes: size of one line with its newline.
    lines: number of lines.
    ratio: unpacked bytes for each packed byte; only checked if there are more than `RATIO_FREE_BYTES`.
    """

    size_bytes: int = 2**30
    line_bytes: int = 2**23
    lines: int = 100_000
    ratio: int = 200


RATIO_FREE_BYTES = 1_000_000
