"""Counts for the cost of a run: parameters, operations, bytes, operator calls and memory of a stack and one measured
pass.

All are pure functions of the spec. Operations of the forward pass per token and layer (the backward pass has twice as
many): MLP 4 r C^2 (r is the ratio), attention 8 C^2 + 4 T C, mixing 2 C (n^2 + 2 n), dynamic projection
2 n C (n^2 + 2 n), Sinkhorn 4 n^2 per round. For m parts of the width, mixing and projection are 2 C (2 m + 1) each. The
cost of a branch is declared by the branch, and the cost of reading earlier outputs by the family: layer l has up to
l + 2 sources, so this cost grows with the square of the depth. Bytes and calls are those of our operators; tests count
them on real stacks.

Symbols: L layers, n streams, C width, N = B T samples, P samples kept for CKA and rank.
"""

from mhc_core.layers.blocks import branch_type, count_branches
from mhc_core.metrics.logits import MAX_SAMPLES
from mhc_core.spec import BYTE_INPUTS, RunSpec

ITEM_BYTES = {"float32": 4, "float64": 8, "bfloat16": 2}
SLACK_BYTES = 5e6
MAX_TAPE_BYTES = 7.5e8  # if the graphs of all layers are larger, only states are kept, and layers are computed twice
MAX_STEP_MAP_LAYERS = 256  # a matrix of 1024 by 1024 layers would be 5 MB of text at each kept step
OBJECT_BYTES, LAYER_BYTES = 850, 14_000  # autograd's node and tensors of one call; modules and frames of one layer
# How often dynamic mixing reads or writes the streams, forward and backward. The key is whether each stream is
# projected separately, as in families without a map; other families project all streams together.
STREAM_PASSES = {
    True: 48,
    False: 40,
}
# The same for feature gates, by dtype; and how often values of the gates' rank are read or written.
GATE_PASSES, RANK_PASSES = {"float32": 79, "float64": 72, "bfloat16": 51}, 14
DYNAMIC_CALLS = {True: 70, False: 45}  # operator calls per layer without Sinkhorn, by the same key as STREAM_PASSES
MAP_PASSES = 2  # values read or written per operation of a map without rounds, in dynamic mixing
ROUND_CALLS = 2  # operator calls per Sinkhorn round
END_VECTORS = {"text": 2 * 256, "corpus": 2 * 256, "digits": 1 + 64 + 10}  # of width C, in embedding and read-out

# Parameters.


def count_parameters(spec: RunSpec) -> int:
    """Return the exact number of trainable values of a spec's stack."""
    branches = sum(layers * branch.count_parameters(spec) for branch, layers in count_branches(spec).items())
    ends = END_VECTORS.get(spec.input.kind, 0) * spec.width
    if spec.block.scaling in ("rezero", "skipinit"):
        branches += spec.depth
    if spec.family.reads is not None:
        return branches + ends + spec.family.reads.count_parameters(spec)
    if spec.family.costs is not None:
        return branches + ends + spec.family.costs.count_parameters(spec)
    if not spec.family.has_streams:
        return branches + ends
    ends += spec.streams * spec.width if spec.connection.scales_streams else 0
    return branches + ends + spec.depth * _mixing_parameters(spec) + _head_parameters(spec)


def count_sources(spec: RunSpec) -> int:
    """Return the number of sources over depth that are weighed after each layer, summed over layers; 0 without them."""
    reads = spec.family.reads
    return 0 if reads is None else sum(reads.count_sources(spec, layer) for layer in range(spec.depth))


def _mixing_parameters(spec: RunSpec) -> int:
    """Count the trainable parameters of the mixing in one layer."""
    n, width, logits = spec.streams, spec.width, _vectors(spec) + _count_logits(spec)
    if spec.family.streams == "source":
        return _count_logits(spec)  # H_pre has the same parameters
    if spec.family.by_feature:
        return n * width * (2 * spec.connection.gate_rank + n)
    if not spec.connection.is_dynamic:
        return logits
    if _projects_apart(spec):
        return logits + width * _copies(spec) // n * logits // n + 2
    return logits + n * width * logits + 3


def _vectors(spec: RunSpec) -> int:
    """Count the entries of H_pre and H_post of one layer. If streams are parts of the width, H_pre is a matrix."""
    n = spec.streams
    return n * n + n if spec.family.streams == "parts" else 2 * n


def _copies(spec: RunSpec) -> int:
    """Return the number of streams of full width; 1 if streams are parts of the width."""
    return 1 if spec.family.streams == "parts" else spec.streams


def _projects_apart(spec: RunSpec) -> bool:
    """Return whether dynamic mixing projects each stream separately."""
    return not spec.family.is_mapped


def _count_logits(spec: RunSpec) -> int:
    """Count the logits from which a layer computes H_res, for the cost of a connection."""
    return spec.family.logits(spec.streams)


def _head_parameters(spec: RunSpec) -> int:
    """Count the trainable parameters of the head that merges the streams; 0 without a head."""
    if spec.family.streams != "copies" or spec.output != "head":
        return 0
    n = spec.streams
    if spec.family.by_feature:
        return 2 * n * spec.width * spec.connection.gate_rank
    return n * spec.width * n + n + 1 if spec.connection.is_dynamic else n


# Arithmetic.


def count_pass_flops(spec: RunSpec) -> float:
    """Count the operations of one pass, forward and backward."""
    branches = sum(layers * branch.count_flops(spec) for branch, layers in count_branches(spec).items())
    reads = spec.family.reads
    depth = 0 if reads is None else reads.operations * count_sources(spec) * spec.width
    return 3 * count_samples(spec) * (branches + spec.depth * _mixing_flops(spec) + depth)


def _mixing_flops(spec: RunSpec) -> float:
    """Count the operations of the connection of one layer for one sample, without its branch, in a forward pass."""
    n, width = spec.streams, spec.width
    if spec.family.costs is not None:
        return spec.family.costs.count_operations(spec)
    if spec.family.by_feature:
        return 2.0 * n * width * (2 * spec.connection.gate_rank + n + 2)
    if n == 1:
        return width
    part = width * _copies(spec) // n  # features of a stream
    flops = 2.0 * part * (n * n + _vectors(spec))
    if spec.connection.is_dynamic:
        inputs = part if _projects_apart(spec) else n * part
        flops += 2 * inputs * (_vectors(spec) + _count_logits(spec)) + spec.family.operations(n, _rounds(spec))
    return flops


def count_readout_flops(spec: RunSpec) -> float:
    """Count the operations of the read-out in a training step. The cost of a measured pass does not include it."""
    return 6.0 * 256 * spec.width * count_samples(spec) if spec.input.kind in BYTE_INPUTS else 0.0


def count_equivalent_flops(spec: RunSpec) -> float:
    """Return the time of other arithmetic in one pass, forward and backward, as the number of operations of matrix
    products that take as long.
    """
    slow = sum(layers * branch.count_equivalent_flops(spec) for branch, layers in count_branches(spec).items())
    return 3 * count_samples(spec) * slow


def count_probe_flops(spec: RunSpec) -> float:
    """Count the operations of CKA over all pairs of layers."""
    return 2 * spec.depth * _kept_samples(spec) ** 2 * spec.width + spec.depth**2 * _kept_samples(spec) ** 2


def count_rank_flops(spec: RunSpec) -> float:
    """Count the operations of the effective rank: Gram matrices and their eigenvalues."""
    return spec.depth * 4.0 * _rank_size(spec) ** 3


# Bytes, calls, memory.


def count_pass_bytes(spec: RunSpec) -> float:
    """Count the bytes that a forward and backward pass reads and writes, including weights and their gradients."""
    item = _values_bytes(spec)
    branches = sum(layers * branch.count_moved(spec) for branch, layers in count_branches(spec).items())
    norms = {"pre": 1, "post": _copies(spec), "none": 0}[spec.block.norm_position]
    passes = 12 + norms * 12
    reads = spec.family.reads
    depth = 0 if reads is None else reads.count_passes(spec) * count_sources(spec) * spec.width
    per_token = (branches + spec.depth * passes * spec.width + depth) * item + spec.depth * _mixing_bytes(spec)
    return count_samples(spec) * per_token + 3 * count_parameters(spec) * ITEM_BYTES[spec.dtype]


def _mixing_bytes(spec: RunSpec) -> float:
    """Return the bytes that the mixing moves per token and layer, in addition to those of the residual connection."""
    n, width, item = _copies(spec), spec.width, _coefficient_bytes(spec)
    if spec.family.costs is not None:
        return spec.family.costs.count_moved(spec) * item
    if not spec.family.has_streams:
        return 0.0
    if not spec.connection.is_dynamic:
        return (20 * n - 1) * width * item
    if spec.family.by_feature:
        return (GATE_PASSES[spec.dtype] * n * width + RANK_PASSES * spec.connection.gate_rank) * item
    streams = STREAM_PASSES[_projects_apart(spec)]
    rounds = _rounds(spec)
    of_map = 10 * spec.streams**2 * rounds if rounds else MAP_PASSES * spec.family.operations(spec.streams, 0)
    return (streams * n * width + of_map) * item


def count_pass_calls(spec: RunSpec) -> float:
    """Count operator calls of the forward pass of all layers; the backward pass has about 1.5 times as many."""
    layer = 2 if spec.family.has_streams else 0 if spec.family.reads is None else spec.family.reads.calls
    if spec.family.costs is not None:
        layer = spec.family.costs.calls
    if spec.connection.is_dynamic:
        layer = DYNAMIC_CALLS[_projects_apart(spec)] + ROUND_CALLS * _rounds(spec) + spec.family.map_calls
    return sum(layers * (branch.calls + layer) for branch, layers in count_branches(spec).items())


def count_run_bytes(spec: RunSpec, *, whole_graph: bool = False) -> float:
    """Return the peak memory of a run in bytes: weights, tensors stored for the backward pass, Gram matrices, and one
    measured block.

    whole_graph: whether the pass keeps its whole graph, however large, as training does; default False.
    """
    parameters = count_parameters(spec)
    weights = parameters * ITEM_BYTES[spec.dtype]
    tape = count_tape_bytes(spec) + (OBJECT_BYTES * count_pass_calls(spec) + LAYER_BYTES * spec.depth)
    if recomputes(spec) and not whole_graph:
        sources = count_samples(spec) * count_sources(spec) * spec.width * ITEM_BYTES[spec.dtype]
        tape = count_state_bytes(spec) + sources + tape / spec.depth + LAYER_BYTES * spec.depth
    kept = tape + _probe_bytes(spec) + _scratch_bytes(spec) + _base_bytes(spec)
    # All weights are drawn in float32 before they are converted.
    return max(4.0 * parameters, weights + kept)


def count_state_bytes(spec: RunSpec) -> int:
    """Count the bytes of the states after all layers."""
    return count_samples(spec) * spec.depth * _copies(spec) * spec.width * ITEM_BYTES[spec.dtype]


def _base_bytes(spec: RunSpec) -> float:
    """Return the bytes that an edited run stores of its base: states, gradients, branch outputs and coefficients."""
    if not spec.edits:
        return 0.0
    states = (2 * _copies(spec) + 1) * spec.width * spec.depth + 2 * count_sources(spec) * spec.width
    coefficients = spec.depth * (_vectors(spec) + spec.streams**2) if spec.connection.is_dynamic else 0
    own = coefficients * _coefficient_bytes(spec)
    return count_samples(spec) * (states * ITEM_BYTES[spec.dtype] + own)


def recomputes(spec: RunSpec) -> bool:
    """Return whether a pass stores only states, and computes each layer again in its backward pass."""
    return count_tape_bytes(spec) > MAX_TAPE_BYTES


def disturbs(spec: RunSpec) -> bool:
    """Return whether the run measures its gradient a second time with randomly rounded states.

    This is done for attention without a norm, whose logits grow with the square of the state. Where attention changes
    from a mean over tokens to a choice of one token, a stack can amplify rounding errors more than the signal.
    """
    return spec.block.kind == "transformer" and spec.block.norm_position == "none" and not spec.train.steps


def keeps_maps(spec: RunSpec) -> bool:
    """Return whether training steps that store matrices also store CKA and effective skip connections of all layers."""
    return spec.depth <= MAX_STEP_MAP_LAYERS


def count_kept_steps(spec: RunSpec) -> int:
    """Count the training steps at which mixing matrices are stored."""
    return min(spec.train.kept, spec.train.steps)


def count_cka_steps(spec: RunSpec) -> int:
    """Return how many training steps record CKA; 0 for stacks that are too deep."""
    return count_kept_steps(spec) if keeps_maps(spec) else 0


def count_tape_bytes(spec: RunSpec) -> float:
    """Count the bytes that autograd stores in the forward pass for the backward pass."""
    n, width, item = _copies(spec), spec.width, ITEM_BYTES[spec.dtype]
    norm = {"pre": 1, "post": n, "none": 0}[spec.block.norm_position]
    copied = 1 if spec.family.has_streams else 0
    layer = (n + 1 + norm + copied) * width * item + _mixing_kept(spec)
    branches = sum(layers * branch.count_kept(spec) for branch, layers in count_branches(spec).items())
    return count_samples(spec) * (branches * item + spec.depth * layer + _depth_kept(spec))


def _depth_kept(spec: RunSpec) -> float:
    """Return the bytes per token that reads of earlier outputs store for the backward pass, summed over layers."""
    if spec.family.reads is None:
        return 0.0
    copies, values = spec.family.reads.count_kept(spec)
    own = values * _coefficient_bytes(spec)
    return count_sources(spec) * (copies * spec.width * ITEM_BYTES[spec.dtype] + own)


def _mixing_kept(spec: RunSpec) -> float:
    """Return the bytes per token and layer that the mixing stores for the backward pass: normed or converted streams,
    logits, and Sinkhorn's rounds.
    """
    n, width, item = spec.streams, spec.width, _coefficient_bytes(spec)
    if spec.family.costs is not None:
        return spec.family.costs.count_kept(spec) * item
    if not spec.family.has_streams:
        return 0.0
    kept = (2 * _copies(spec) + 1) * width * 4.0 if spec.dtype == "bfloat16" else 0.0
    if spec.family.streams == "parts" and not spec.connection.is_dynamic:
        kept += 2 * width * item  # copies of the parts in the layout of their products
    if spec.family.by_feature:
        kept = (0.5 * n + 1) * width * 4.0 if spec.dtype == "bfloat16" else 0.0
        return kept + (3 * n * width + 4 * spec.connection.gate_rank + 3 * n + n * n) * item
    if spec.connection.is_dynamic:
        kept += (_copies(spec) * width if _projects_apart(spec) else 0) * item
        kept += (4 * (_vectors(spec) + _count_logits(spec)) + 2 * n * n + 2 * n * n * _rounds(spec)) * item
    return kept


def _scratch_bytes(spec: RunSpec) -> float:
    """Return the bytes of temporary tensors of one layer: weight gradients, copies, and the allocator's reserve."""
    branch = branch_type(spec, 0)
    return branch.scratch * branch.count_parameters(spec) * ITEM_BYTES[spec.dtype] + SLACK_BYTES


def _probe_bytes(spec: RunSpec) -> float:
    """Return the bytes that measurements need: CKA's Gram matrices, and copies of layers that are measured together."""
    item = _measured_bytes(spec)
    grams = spec.depth * _kept_samples(spec) ** 2 * item
    layers = _layers_together(spec)
    states = layers * count_samples(spec) * spec.width * (2 * _copies(spec) + 4) * item
    ranks = layers * 8 * (2 * _rank_size(spec) ** 2 + 3 * min(count_samples(spec), 256) * spec.width)
    return grams + max(states, ranks)


def count_probe_moved_bytes(spec: RunSpec) -> float:
    """Count the bytes that measurements of one pass read and write: states, samples for the rank, Gram matrices,
    weights.
    """
    kept = _kept_samples(spec)
    states = count_samples(spec) * (50 + 20 * _copies(spec)) * spec.width
    ranks = 50 * min(count_samples(spec), 256) * spec.width
    grams = kept**2 * (26 + spec.depth / 32)
    mixing = 16 * count_samples(spec) * (2 * spec.streams + spec.streams**2) if spec.connection.is_dynamic else 0
    # Sinkhorn again for a few samples in two precisions, as short sums along both axes.
    logits = min(count_samples(spec), MAX_SAMPLES) * spec.streams**2
    rounding = 120 * logits * _rounds(spec) if spec.connection.is_dynamic else 0
    layer = states + ranks + grams + mixing + rounding
    return (spec.depth * layer + 5 * count_parameters(spec)) * _measured_bytes(spec)


def count_step_probe_bytes(spec: RunSpec) -> float:
    """Count the bytes that measurements of one training step move, forward and backward."""
    return 2.0 * count_samples(spec) * spec.depth * spec.width * (_copies(spec) + 11) * _measured_bytes(spec)


def count_step_probe_calls(spec: RunSpec) -> float:
    """Count the operator calls for the measurements of one training step."""
    layer = 150.0 + (140 if spec.connection.is_dynamic else 0) + (280 if spec.dtype == "bfloat16" else 0)
    return layer * spec.depth


def count_kept_probe_bytes(spec: RunSpec) -> float:
    """Count the bytes that measurements of each stream move in a kept training step."""
    return 30.0 * count_samples(spec) * spec.depth * spec.width * _copies(spec) * _measured_bytes(spec)


def count_probe_calls(spec: RunSpec) -> float:
    """Count the operator calls for the measurements of one pass: states, gradients and mixing of all layers."""
    layer = 270.0
    if spec.family.has_streams:
        layer += 180 if spec.connection.is_dynamic else 40
    return spec.depth * layer + 2000


# Small quantities from the spec.


def count_samples(spec: RunSpec) -> int:
    return spec.input.batch * spec.input.tokens


def _rounds(spec: RunSpec) -> int:
    """Return the number of Sinkhorn rounds per sample and layer; 0 if the family has none."""
    return spec.connection.sinkhorn_iters if spec.family.iterates else 0


def _kept_samples(spec: RunSpec) -> int:
    return min(count_samples(spec), 256 if spec.depth <= 256 else 128)


def _rank_size(spec: RunSpec) -> int:
    return min(spec.width, 256, count_samples(spec))


def _layers_together(spec: RunSpec) -> int:
    """Return the number of layers in the largest block that is measured together. Blocks have 1, 2, 4, ... layers."""
    most = max(1, min(16, 2**24 // (count_samples(spec) * spec.width * _copies(spec))))
    size, left, largest = 1, spec.depth, 1
    while left > 0:
        largest = max(largest, min(size, left))
        left, size = left - size, min(2 * size, most)
    return largest


def _measured_bytes(spec: RunSpec) -> int:
    return 8 if spec.dtype == "float64" else 4


def _values_bytes(spec: RunSpec) -> float:
    """Return the bytes per value of a state, as a mean over operators."""
    # In bfloat16, norms are computed in float32.
    return 2.7 if spec.dtype == "bfloat16" else ITEM_BYTES[spec.dtype]


def _coefficient_bytes(spec: RunSpec) -> float:
    """Return the bytes per value that mixing reads and writes, including conversions."""
    # bfloat16 streams are converted to float32 and back.
    return {"float64": 8, "float32": 4, "bfloat16": 6}[spec.dtype]
