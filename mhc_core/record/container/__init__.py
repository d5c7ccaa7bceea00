"""Containers: a record in one file, `*.mhct`, that can be kept, mailed and posted to a server.

A zip of `manifest.json` and `frames.ndjson`, the lines of the protocol; docs/protocol.md describes both. Reading runs
no code of the file, checks every value, and needs memory for one frame.
"""

from mhc_core.record.container.check import Checker
from mhc_core.record.container.limits import ContainerLimits
from mhc_core.record.container.publishing import PublishError, publish
from mhc_core.record.container.reading import read_frames
from mhc_core.record.container.writing import write_frames

__all__ = ["Checker", "ContainerLimits", "PublishError", "publish", "read_frames", "write_frames"]
