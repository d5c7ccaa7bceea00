"""The table of all families of connections: one per file of this folder, and those of other packages.

Another package adds a family with an entry point of the group `mhc_scope.connections`, whose name is the kind and whose
object is a `Family`. `mhc-scope serve --connection module:FAMILY` adds one without an entry point
(`mhc_core/discovery.py`); its kind is the family's name in lower case.
"""

from collections.abc import Iterator

from mhc_core.discovery import InvalidAddition, import_files, list_added
from mhc_core.family import Family

GROUP = "mhc_scope.connections"
VARIABLE = "MHC_CONNECTION"


def collect_families() -> dict[str, Family]:
    """Collect all families by kind, sorted by their `place`.

    Raises
    ------
    InvalidAddition
        If an entry point cannot be loaded, is not a `Family`, or has the kind of another family.
    """
    found: dict[str, Family] = {}
    for kind, family in (*_list_own(), *_list_others()):
        if kind in found:
            raise InvalidAddition(f"Two connections are called {kind!r}: rename the one of your package.")
        found[kind] = family
    return dict(sorted(found.items(), key=lambda item: (item[1].place, item[0])))


def _list_own() -> Iterator[tuple[str, Family]]:
    """Yield kind and family for each file of this folder. The kind is the file's name."""
    for module in import_files(__name__):
        yield module.__name__.rpartition(".")[2], module.FAMILY


def _list_others() -> Iterator[tuple[str, Family]]:
    """Yield kind and family for each connection that another package adds."""
    for kind, family in list_added(Family, GROUP, VARIABLE):
        yield kind or family.name.lower().replace("-", "_").replace(" ", "_"), family


FAMILIES = collect_families()
