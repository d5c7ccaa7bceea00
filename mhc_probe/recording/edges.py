"""Find where the autograd graph of an output reaches a tensor or parameters, without changing the graph."""

from collections.abc import Iterable, Sequence

import torch
from torch.autograd.graph import Node, get_gradient_edge


def list_edges(source: torch.Tensor, outputs: Sequence[torch.Tensor]) -> list[tuple[Node, int]]:
    """Return the nodes that pass a gradient from the outputs to the source, each with the source's index in its inputs.

    A node that is reached from several outputs is listed once. [] if the source requires no gradient.
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


def list_leaves(output: torch.Tensor, ends: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Return the leaves of a graph, such as parameters, from which an output was computed, nearest first.

    ends: tensors at which the search stops. [] if the output has no graph.
    """
    seen = {end.grad_fn for end in ends if end.grad_fn is not None}
    found, waiting = list[torch.Tensor](), [output.grad_fn]
    for node in waiting:  # which grows during the loop
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        found += [leaf] if isinstance(leaf, torch.Tensor) else []
        waiting += [below for below, _ in node.next_functions]
    return found
