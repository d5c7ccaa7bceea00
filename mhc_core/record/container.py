"""Containers: files `*.mhct` with one record each, to keep, to mail, or to post to a server.

A container is a zip of `manifest.json` and `frames.ndjson`, the lines of the protocol; docs/protocol.md describes both.
Reading executes nothing in the file, checks all values, and needs memory for one frame.
"""

from mhc_core.record.container_check import Checker
from mhc_core.record.container_limits import ContainerLimits
from mhc_core.record.container_reading import read_frames
from mhc_core.record.container_writing import write_frames
from mhc_core.record.publishing import PublishError, publish

__all__ = ["Checker", "ContainerLimits", "PublishError", "publish", "read_frames", "write_frames"]
