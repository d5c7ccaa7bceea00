"""Imported last by the process from which servers are forked: what each would do again is done here once.

A server is started hundreds of times: of its start, half is reading the page's files and importing modules, and of its
workers' start, most is measuring the machine's speed, for which fewer rounds are enough here.
"""

import gc
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import mhc_scope.commands.serve
import mhc_scope.edge.server  # noqa: F401
from mhc_core.cost import rates
from mhc_scope import main
from mhc_scope.pages.assets import Assets

OWN = Assets()


def get_assets(root: str = "", added: Mapping[str, Path] = MappingProxyType({})) -> Assets:
    """Return the files that were read here, unless an add-on or a path below which the server is shown changes them."""
    return Assets(root, added) if root or added else OWN


vars(main)["Assets"] = get_assets
rates.ROUNDS = 2
gc.collect()  # Collections of servers and workers skip what is there now.
gc.freeze()
