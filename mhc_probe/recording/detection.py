"""Find Hyper-Connections by the shapes of weights, before any pass has run.

A connection computes coefficients from n streams of width C: it has a weight matrix from nC features to n, 2n, n^2,
n^2 + n or n^2 + 2n numbers. C is the width of the embedding that occurs in most weights. Without an embedding, C is the
length of a vector in another part of the block, such as a norm.
"""

from collections import Counter
from collections.abc import Iterator

from torch import nn

from mhc_probe.recording.hyper import ConnectionSite
from mhc_probe.recording.paths import CONTAINERS

MAX_STREAMS = 16


def find_connections(model: nn.Module) -> list[ConnectionSite]:
    """Return the hyper-connections of a model, in its own order. A class that occurs only once is left out."""
    embedded = find_embedded_width(model)
    found = [site for block in model.modules() for site in _find_in_block(block, embedded)]
    counts = Counter(type(site.connection) for site in found)
    return [site for site in found if counts[type(site.connection)] > 1]


def find_embedded_width(model: nn.Module) -> set[int]:
    """Return the width of the embedding, as a set, empty if there is none.

    If there are several embeddings, as of tokens and of distances, return the width that most weights have.
    """
    widths = {module.embedding_dim for module in model.modules() if isinstance(module, nn.Embedding)}
    shapes = [parameter.shape for parameter in model.parameters() if parameter.ndim > 1]
    return {max(sorted(widths), key=lambda width: sum(width in shape for shape in shapes))} if widths else set()


def _find_in_block(block: nn.Module, embedded: set[int]) -> Iterator[ConnectionSite]:
    """Yield the children of a block that are connections, each with the block's other parts."""
    children = dict(block.named_children())
    widths = {name: embedded or _list_widths(children, name) for name in children}
    connections = [name for name, child in children.items() if _is_connection(child, widths[name])]
    for name in connections:
        others = {key: part for key, part in children.items() if key not in connections}
        yield ConnectionSite(children[name], block, others)


def _is_connection(module: nn.Module, widths: set[int]) -> bool:
    """Return whether a module has a projection from n streams to coefficients, by the shapes of its weights."""
    return any(
        rows in (n, 2 * n, n * n, n * n + n, n * n + 2 * n)
        for rows, features in _list_weight_sizes(module)
        for n in range(2, MAX_STREAMS + 1)
        if features % n == 0 and features // n in widths and rows != features // n
    )


def _list_weight_sizes(module: nn.Module) -> Iterator[tuple[int, int]]:
    """Yield both sizes, in both orders, of the weight matrices of a module: its own, and those of its linear maps."""
    # A linear map alone is not a connection, and a list of modules is never called.
    if isinstance(module, (nn.Linear, *CONTAINERS)):
        return
    parts = [part.weight for part in module.children() if isinstance(part, nn.Linear)]
    for weight in (*module.parameters(recurse=False), *parts):
        if weight.ndim == 2:
            yield weight.shape[0], weight.shape[1]
            yield weight.shape[1], weight.shape[0]


def _list_widths(children: dict[str, nn.Module], name: str) -> set[int]:
    """Return the lengths of vectors in the other parts of a block."""
    others = [part for key, part in children.items() if key != name]
    return {len(parameter) for part in others for parameter in part.parameters() if parameter.ndim == 1}
