"""The families of connections: the files of this folder, and those that other packages add.

Another package declares an entry point of the group `mhc_scope.connections`, whose name is the kind and whose object is
a `Family`; `mhc-scope serve --connection module:Family` adds one for a session (`mhc_core/discovery.py`). The kind is
then the family's name in lower case.
"""

from collections.abc import Iterator

from mhc_core.discovery import InvalidAddition, import_files, list_added
from mhc_core.family import Family

GROUP = "mhc_scope.connections"
VARIABLE = "MHC_CONNECTION"


def collect_families() -> dict[str, Family]:
    """Collect all families by kind, sorted by their place.

    Raises
    ------
    InvalidAddition
        Where an entry point cannot be loaded, is no `Family`, or has the kind of another family.
    """
    found: dict[str, Family] = {}
    for kind, family in (*_list_own(), *_list_others()):
        if kind in found:
            raise InvalidAddition(f"Two connections are called {kind!r}: rename the one of your package.")
        found[kind] = family
    return dict(sorted(found.items(), key=lambda item: (item[1].place, item[0])))


def _list_own() -> Iterator[tuple[str, Family]]:
    """Yield kind and family of each file in this folder; a file's name is the kind of its connection."""
    for module in import_files(__name__):
        yield module.__name__.rpartition(".")[2], module.FAMILY


def _list_others() -> Iterator[tuple[str, Family]]:
    """Yield kind and family of the connections that other installed packages add."""
    for kind, family in list_added(Family, GROUP, VARIABLE):
        yield kind or family.name.lower().replace("-", "_").replace(" ", "_"), family


FAMILIES = collect_families()
