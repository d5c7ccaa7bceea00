"""Measure your own models and use a server from scripts: `attach`, `Monitor` and `check`, and `Client`.

    with attach(model) as probe:
        model(**batch).loss.backward()
    result = probe.result()

A name is imported when it is first used, so that a script with a client does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mhc_probe.adapter import Adapter
    from mhc_probe.attachment import Attachment, attach
    from mhc_probe.client import AsyncClient, Client
    from mhc_probe.conformance import check
    from mhc_probe.monitor import Monitor

MODULES = {
    "Adapter": "adapter",
    "AsyncClient": "client",
    "Attachment": "attachment",
    "Client": "client",
    "Monitor": "monitor",
    "attach": "attachment",
    "check": "conformance",
}

__all__ = ["Adapter", "AsyncClient", "Attachment", "Client", "Monitor", "attach", "check"]


def __getattr__(name: str) -> Any:
    """Import a public name of the package from its module when it is first used."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
