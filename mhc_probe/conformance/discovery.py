"""Find the connection in a module, its number of streams, its width and its calling convention."""

from collections.abc import Iterator
from copy import deepcopy
from itertools import product

import torch
from torch import nn

from mhc_core.spec import SpecError
from mhc_probe.conformance.calling import BATCH, LAYOUTS, TOKENS, NotUnderstood, Subject, Write, count_required

MAX_STREAMS = 16
ANY_WIDTH = 32  # tried last: static coefficients fit any width
MAX_ENTRIES = 2**24  # entries of parameters; a larger module is a block or a model that contains the connection
# Errors of a module that receives a state of the wrong shape.
REFUSALS = (RuntimeError, ValueError, IndexError, TypeError, AssertionError, AttributeError, KeyError, NotUnderstood)


def find_subjects(
    module: nn.Module, streams: int | None = None, width: int | None = None, write: Write | None = None
) -> list[Subject]:
    """Return the connections in a module: itself, or all inner modules of the first class that works as a connection.

    Raises
    ------
    SpecError
        If nothing inside can be called as a connection.
    """
    tried: dict[type, Subject | None] = {}
    for inner in module.modules():
        if type(inner) not in tried:
            tried[type(inner)] = _find_convention(inner, streams, width, write)
        found = tried[type(inner)]
        if found is not None:
            alike = [other for _, other in _walk_modules(module) if type(other) is type(inner)]
            return [found.on(other) for other in alike]
    raise SpecError(
        "module",
        type(module).__name__,
        "a connection: one that takes streams (B, T, n, C), (B, T, n C) or (B n, T, C) and returns the branch's input "
        "with H_post and H_res, or with a function that adds the branch's output; give streams= and width= where its "
        "parameters do not determine them",
    )


def _walk_modules(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Return all modules in a module by name. A module that occurs twice, which `check` looks for, is listed twice."""
    return module.named_modules(remove_duplicate=False)


def _find_convention(module: nn.Module, streams: int | None, width: int | None, write: Write | None) -> Subject | None:
    """Return the first sizes, layout and calling mode with which the module can be called as a connection.

    Prefer those for which every returned tensor is understood. None if no call succeeds or the module is too large.
    """
    parameters = list(module.parameters())
    entries = sum(parameter.numel() for parameter in parameters)
    if entries > MAX_ENTRIES or (not entries and streams is None):
        return None
    required = count_required(module)
    if required not in (1, 2):
        return None
    modes = [(False, False)] if required == 1 else [(True, False), (False, True)]
    second_best = None
    for (n, c), layout, mode in product(_list_sizes(parameters, streams, width), LAYOUTS, modes):
        subject = Subject(module, n, c, layout, *mode, write)
        # Call a copy, because a call may change the module.
        unknown_tensors = _count_unknown_tensors(subject.on(deepcopy(module).eval()))
        if unknown_tensors == 0:
            return subject
        if unknown_tensors is not None and second_best is None:
            second_best = subject
    return second_best


def _list_sizes(parameters: list[nn.Parameter], streams: int | None, width: int | None) -> list[tuple[int, int]]:
    """Return the pairs (streams, width) that the shapes of parameters allow, the most likely first."""
    sizes = sorted({size for parameter in parameters for size in parameter.shape})
    counts = [streams] if streams else range(2, MAX_STREAMS + 1)
    pairs = []
    for n in counts:
        widths = [size // n for size in sizes if size % n == 0] + sizes + [ANY_WIDTH]
        pairs += [(n, c) for c in ([width] if width else widths) if c >= n and (c != n or width)]
    marks = {n: sum(size in (n, n * n, n + 1, n * n + 2 * n, 2 * n) for size in sizes) for n in counts}
    return sorted(dict.fromkeys(pairs), key=lambda pair: -marks[pair[0]])


@torch.no_grad()
def _count_unknown_tensors(subject: Subject) -> int | None:
    """Return how many returned tensors are not understood; None if the call fails."""
    dtype = next((p.dtype for p in subject.module.parameters()), torch.float32)
    device = next((p.device for p in subject.module.parameters()), torch.device("cpu"))
    x = torch.ones(BATCH, TOKENS, subject.n, subject.width, dtype=dtype, device=device)
    x *= torch.linspace(0.5, 1.5, subject.width, dtype=dtype, device=device)
    try:
        called = subject(x)
        if called.write is not None:
            called.write(torch.zeros_like(called.u))
    except REFUSALS:
        return None
    return called.unknown_tensors
