"""Use a server from scripts: submit specs, follow runs, download results. Needs httpx, and never imports torch."""

try:
    import httpx  # noqa: F401  (checked here, as a module below would fail without explanation)
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("mhc_probe.client needs httpx: pip install 'mhc-scope[client]'", name="httpx") from error

from mhc_probe.client.async_client import AsyncClient
from mhc_probe.client.errors import ArgumentError, ClientError, LostError, RefusedError, RunFailedError
from mhc_probe.client.models import Atlas, Figure, Lens, Run, Snapshot, Sweep, SweepValues, Trace, Twin
from mhc_probe.client.sync_client import Client

__all__ = [
    "ArgumentError",
    "AsyncClient",
    "Atlas",
    "Client",
    "ClientError",
    "Figure",
    "Lens",
    "LostError",
    "RefusedError",
    "Run",
    "RunFailedError",
    "Snapshot",
    "Sweep",
    "SweepValues",
    "Trace",
    "Twin",
]
