"""Find where the graph of an output reaches a tensor, without a change to the graph."""

from collections.abc import Sequence

import torch
from torch.autograd.graph import Node, get_gradient_edge


def list_edges(source: torch.Tensor, outputs: Sequence[torch.Tensor]) -> list[tuple[Node, int]]:
    """Return the nodes that pass a gradient from the outputs to the source, each with its place among their inputs.

    A node that is reached from several outputs counts once. [] if the source takes no gradient.
    """
    if not source.requires_grad:
        return []
    target = get_gradient_edge(source)
    found: list[tuple[Node, int]] = []
    seen: set[Node] = set()
    waiting = [output.grad_fn for output in outputs if output is not source]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen or node is target.node:
            continue
        seen.add(node)
        for place, (below, number) in enumerate(node.next_functions):
            if below is target.node and number == target.output_nr:
                found.append((node, place))
            else:
                waiting.append(below)
    return found
