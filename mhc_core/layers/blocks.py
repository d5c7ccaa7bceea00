"""The blocks that a spec can name. A new block needs one file with its branches, and one line here."""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from mhc_core.layers.branch import Branch
from mhc_core.layers.conv import Conv
from mhc_core.layers.mlp import Mlp
from mhc_core.layers.pair import Transition, TriangleIncoming, TriangleOutgoing
from mhc_core.layers.scaling import build_scaling
from mhc_core.layers.transformer import Attention
from mhc_core.spec import RunSpec

# The layers of a stack use the branches of its block in turn: layer l has the branch at l mod (number of branches).
BLOCKS: dict[str, tuple[type[Branch], ...]] = {
    "mlp": (Mlp,),
    "transformer": (Attention, Mlp),
    "conv": (Conv,),
    "pair": (TriangleOutgoing, TriangleIncoming, Transition),
}


def build_branch(spec: RunSpec, layer: int) -> Branch:
    """Build the module that computes the branch of one layer: attention, MLP, convolution or triangle."""
    block = layer // len(BLOCKS[spec.block.kind]) + 1
    return branch_type(spec, layer)(spec, layer, build_scaling(spec, block))


def name_layers(spec: RunSpec) -> list[str]:
    """Return the type of each layer, such as "attention"."""
    return [branch_type(spec, layer).name for layer in range(spec.depth)]


@lru_cache(maxsize=64)
def count_branches(spec: RunSpec) -> Mapping[type[Branch], int]:
    """Return the number of layers that each class of branches computes, for the cost of a run."""
    return Counter(branch_type(spec, layer) for layer in range(spec.depth))


def branch_type(spec: RunSpec, layer: int) -> type[Branch]:
    """Return the class that computes the branch of this layer, such as `Mlp`. The spec's block determines it."""
    types = BLOCKS[spec.block.kind]
    return types[layer % len(types)].choose(spec, layer)
