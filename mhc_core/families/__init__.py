"""The families of connections: the files of this folder, and those that other packages add.

Another package declares an entry point of the group `mhc_scope.connections`, whose name is the kind and whose object is
a `Family`. For one session, the environment variable `MHC_CONNECTION` names more of them as "module:Family", separated
by commas; `mhc-scope serve --connection` sets it. The kind is then the family's name in lower case.
"""

import os
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points

from mhc_core.family import Family, InvalidFamily, load

GROUP = "mhc_scope.connections"
VARIABLE = "MHC_CONNECTION"


def collect_families() -> dict[str, Family]:
    """Collect all families by kind, sorted by their place.

    Raises
    ------
    InvalidFamily
        Where an entry point cannot be loaded, is no `Family`, or has the kind of another family.
    """
    found: dict[str, Family] = {}
    for kind, family in (*_list_own(), *_list_installed(), *_list_named()):
        if kind in found:
            raise InvalidFamily(f"Two connections are called {kind!r}: rename the one of your package.")
        found[kind] = family
    return dict(sorted(found.items(), key=lambda item: (item[1].place, item[0])))


def _list_own() -> Iterator[tuple[str, Family]]:
    """The files of this folder; the name of a file is the kind."""
    for module in pkgutil.iter_modules(__path__):
        yield module.name, import_module(f"{__name__}.{module.name}").FAMILY


def _list_installed() -> Iterator[tuple[str, Family]]:
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        yield point.name, _load(point.value, f"Entry point {point.name} = {point.value} of the group {GROUP}")


def _list_named() -> Iterator[tuple[str, Family]]:
    for target in filter(None, os.environ.get(VARIABLE, "").split(",")):
        family = _load(target, f"Connection {target} of {VARIABLE}")
        yield family.name.lower().replace("-", "_").replace(" ", "_"), family


def _load(target: str, where: str) -> Family:
    try:
        family = load(target)
    except Exception as error:  # whatever a foreign module raises
        raise InvalidFamily(f"{where} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(family, Family):
        raise InvalidFamily(f"{where} is a {type(family).__name__}, not a mhc_core.family.Family.")
    return family


FAMILIES = collect_families()
