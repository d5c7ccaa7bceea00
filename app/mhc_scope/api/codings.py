"""Compress bodies that are sent unchanged to many clients, in an encoding that the client accepts."""

import gzip
import re
from collections.abc import Callable
from functools import lru_cache, partial

import brotli

# Supported encodings, the one with the smaller result first. Brotli's best quality would save 8 % more, but takes 2 s
# for Plotly, which is compressed when it is installed.
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "br": partial(brotli.compress, quality=6),
    "gzip": partial(gzip.compress, compresslevel=9, mtime=0),
}


@lru_cache(256)
def choose_coding(accepted: str) -> str | None:
    """Return the encoding for a body according to the header Accept-Encoding; None for no encoding."""
    # A weight of 0 excludes an encoding. Other weights are ignored: the smaller result is preferred.
    entries = (entry.replace(" ", "").lower().partition(";") for entry in accepted.split(","))
    takes = {name for name, _, weight in entries if not re.fullmatch(r"q=0(\.0*)?", weight)}
    return next((coding for coding in PACKERS if coding in takes), None)
