"""Record Hyper-Connections of any implementation in which a module returns the branch's input and the coefficients.

A connection receives the state (..., n, C) or (..., nC) and returns, in any order, u (..., C), H_post (..., n) and
H_res (..., n, n). Without H_res the streams pass unchanged; H_pre (..., n) may be returned too. Coefficients are
checked: H_pre against u, and H_res and its transpose against the next state.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from mhc_core.metric import pick_features
from mhc_core.spec import SpecError
from mhc_core.spec.edit import What
from mhc_probe.adapter import Adapter, LayerPass, LayerRecorder, LayerSite
from mhc_probe.edits import ModelEdits
from mhc_probe.laws import find_tolerance
from mhc_probe.mixing import find_mixings
from mhc_probe.recording.coefficients import (
    ConnectionCall,
    find_coefficients,
    find_gates,
    find_read_weights,
    read_streams,
)
from mhc_probe.recording.joined import JoinedLayer, JoinedPasses
from mhc_probe.recording.pass_recorder import is_in_backward
from mhc_probe.recording.replacement import Replacement
from mhc_probe.recording.values import find_like, find_state, replace_tensor

KINDS = {"attn": "attention", "attention": "attention", "mlp": "mlp", "ffn": "mlp", "feed_forward": "mlp"}


class ConnectionSite(NamedTuple):
    """A connection, the block that contains it, and the block's other parts by name."""

    connection: nn.Module
    block: nn.Module
    others: dict[str, nn.Module]


class HyperConnections(Adapter):
    """One layer per connection. State (..., n, C), with the streams on any axis, or (..., nC)."""

    needs_confirmation = True  # another module may have such shapes by chance

    def __init__(self, connection_sites: Sequence[ConnectionSite]) -> None:
        self.connection_sites = connection_sites
        self.sites = [LayerSite("branch", list(site.connection.parameters())) for site in connection_sites]
        self._layouts: dict[torch.Size, tuple[int | None, int]] = {}  # shape of a state -> axis of streams, width
        self._unread: dict[nn.Module, str] = {}  # modules that only look like connections, such as the reduction
        self.branches: dict[int, nn.Module] = {}  # site -> the part of the block that is the branch

    def register_hooks(self, recorder: LayerRecorder, edits: ModelEdits | None = None) -> list[Callable[[], None]]:
        """Hook connections, blocks and their parts; return functions that remove the hooks."""
        hooks = _HyperHooks(self, recorder, edits)
        undo: list[Callable[[], None]] = [hooks.replacement.stop]
        for site, (connection, _, _) in enumerate(self.connection_sites):
            enter = partial(hooks.enter, site)
            undo.append(connection.register_forward_pre_hook(enter, with_kwargs=True).remove)
            read = partial(hooks.read, site)
            undo.append(connection.register_forward_hook(read, with_kwargs=True, always_call=True).remove)
        for block, others in {site.block: site.others for site in self.connection_sites}.items():
            for name, part in others.items():
                undo.append(part.register_forward_hook(partial(hooks.record_part, name)).remove)
            undo.append(block.register_forward_hook(hooks.leave_block, always_call=True).remove)
        return undo

    def parameters(self) -> list[nn.Parameter]:
        return list(dict.fromkeys(parameter for site in self.connection_sites for parameter in site.block.parameters()))

    def find_inner(self) -> nn.Module:
        return self.connection_sites[0].block

    def read(self, state: torch.Tensor, output: Any, connection: nn.Module) -> ConnectionCall | None:
        """Find branch input and coefficients in a connection's output, and store the layout of states of this shape."""
        found = find_coefficients(state, output)
        if found is None:
            self._unread[connection] = f"{type(connection).__name__} without coefficients for {tuple(state.shape)}"
        else:
            self._layouts[state.shape] = found.axis, found.u.shape[-1]
        return found

    def to_streams(self, state: torch.Tensor) -> torch.Tensor:
        """Return a state as streams (n, N, C), by the layout of its shape."""
        axis, width = self._layouts[state.shape]
        if axis is None:
            state, axis = state.unflatten(-1, (-1, width)), state.ndim - 1
        return state.movedim(axis, 0).flatten(1, -2)

    def from_streams(self, x_nNC: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Return streams (n, N, C) as a state with the axes of another one."""
        axis, _ = self._layouts[like.shape]
        if axis is None:
            return x_nNC.movedim(0, 1).reshape(like.shape)
        lead = (*like.shape[:axis], *like.shape[axis + 1 : -1])
        return x_nNC.unflatten(1, lead).movedim(0, axis).contiguous()

    def edits_for(self, layer: JoinedLayer) -> list[What]:
        """List what edits can change in a layer: the state, and coefficients that are returned and confirmed."""
        found: list[What] = ["stream", "state"]
        found += [] if layer.h_pre is None else ["h_pre"]
        found += [] if layer.h_post is None or layer.chosen is None else ["h_post"]
        # A single candidate is the identity of a connection without a matrix. Candidate 2 is not a returned matrix.
        found += ["h_res"] if len(layer.h_res) > 1 and layer.chosen in (0, 1) else []
        return found + (["branch"] if layer.site in self.branches else [])

    def count_layers(self) -> int:
        return len(self.connection_sites) - len(self._unread)

    def explain(self) -> SpecError | None:
        """Return the error of a connection whose output could not be read, if there is one."""
        if not self._unread:
            return None
        wanted = "a connection that returns u (..., C), weights (..., n) and matrices (..., n, n), or layers="
        return SpecError("model", next(iter(self._unread.values())), wanted)

    def matches(self, recorded: JoinedPasses, autocast: torch.dtype | None) -> bool:
        """Return whether the coefficients explain the branch's input or the next state in at least one layer.

        If the states are not finite, accept the model by the shapes of its coefficients. A layer that does not change
        the state confirms nothing, because such a state fits any weights.
        """
        if not torch.isfinite(recorded.state_nNC).all() or any(layer.h_pre is not None for layer in recorded.layers):
            return True
        tolerance = find_tolerance(recorded.dtype, autocast=autocast)
        before = [recorded.state_nNC, *(layer.after_nNC for layer in recorded.layers)]
        return any(
            bool(torch.isfinite(mixing.h_res).any()) and float((layer.after_nNC - x).norm() / x.norm()) > tolerance
            for layer, x, mixing in zip(recorded.layers, before, find_mixings(recorded, autocast), strict=False)
        )

    def propose(self, sites: Sequence[int]) -> str | None:
        return None


@dataclass
class _OpenLayer:
    """A layer between the call of its connection and the call of the next connection."""

    site: int
    state: torch.Tensor
    found: ConnectionCall
    h_pre: torch.Tensor | None = None
    h_post: torch.Tensor | None = None
    gates: torch.Tensor | None = None
    y: torch.Tensor | None = None
    branch: nn.Module | None = None
    name: str = "branch"
    parts: list[nn.Module] = field(default_factory=list)
    is_left: bool = False

    def build(self, after: torch.Tensor) -> LayerPass:
        """Return the record of the layer, with the state after it."""
        matrix, n = self.found.matrix, self.found.vectors[0].shape[-1]
        matrices = (torch.eye(n, device=after.device),) if matrix is None else (matrix, matrix.mT)
        weights = list(dict.fromkeys(parameter for part in self.parts for parameter in part.parameters()))
        return LayerPass(after, self.y, self.h_pre, self.h_post, matrices, self.name, weights, gates=self.gates)


class _HyperHooks:
    """Hooks of one attachment on connections, blocks and their parts.

    After the connection, the code of a block uses the entering state again to compute the next one. An edited state
    therefore replaces it in all operations until the next connection or the end of the block.
    """

    def __init__(self, adapter: HyperConnections, recorder: LayerRecorder, edits: ModelEdits | None) -> None:
        self.adapter, self.recorder, self.edits = adapter, recorder, edits
        self.open: _OpenLayer | None = None
        self.seen: set[int] = set()
        self.replacement = Replacement()
        self.read_shape = torch.Size()  # shape of the branch's input and output

    def enter(self, site: int, connection: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        """Edit the state that a connection receives; return the arguments with it, or None if nothing is edited."""
        self.replacement.stop()
        state = find_state(args, kwargs)
        edited = state if self.edits is None or state is None else self.edits.enter(site, state)
        self.recorder.operations.collect(0 if state is None else state.numel() // 2, with_factors=True)
        if state is None or edited is None or edited is state:
            return None
        self.replacement.prepare(state, edited)
        return replace_tensor(args, state, edited), replace_tensor(kwargs, state, edited)

    def read(self, site: int, connection: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        """Record the output of the connection. A connection that raised has no output."""
        state, operands = find_state(args, kwargs), self.recorder.operations.stop()
        factors = self.recorder.operations.take_factors()
        found = None if state is None or output is None else self.adapter.read(state, output, connection)
        if state is None or found is None:  # within a branch, or after the last layer
            return None
        if self.edits is not None and self.edits.touches(site, "h_pre", "h_post", "h_res"):
            output, found = self._edit_output(self.edits, site, state, found, operands, output)
        arrived, self.read_shape = self.replacement.original, found.u.shape
        self._leave_last(site, state if arrived is None else arrived)
        self.seen.add(site)
        is_new = self.recorder.enter(site, state) if arrived is None else self.recorder.enter(site, arrived, state)
        self.open = _OpenLayer(site, state, found) if is_new else None
        if self.open is not None:
            self.recorder.read(site, found.u)
            if not is_in_backward():
                self._identify_vectors(self.open, operands, factors)
        if arrived is not None:
            self.replacement.start()
        return None if self.edits is None else output

    def _edit_output(
        self,
        edits: ModelEdits,
        site: int,
        state: torch.Tensor,
        found: ConnectionCall,
        operands: list[torch.Tensor],
        output: Any,
    ) -> tuple[Any, ConnectionCall]:
        """Return the output of a connection with edited coefficients, and its interpretation."""
        x_nNC = self.adapter.to_streams(state)
        n, samples, _ = x_nNC.shape
        h_pre, place = self._find_vectors(x_nNC.detach(), found, operands)
        if edits.touches(site, "h_pre"):
            assert h_pre is not None, "H_pre was found without edits"
            changed = edits.mix(site, "h_pre", h_pre)
            operands.append(changed)
            u = self.adapter.from_rows(read_streams(x_nNC, changed), found.u).to(found.u.dtype)
            output = replace_tensor(output, found.u, u)
        if place is not None and edits.touches(site, "h_post"):
            changed = edits.mix(site, "h_post", found.vectors[place].expand(samples, n))
            output = replace_tensor(output, found.returned[place], _shape_like(changed, found.returned[place]))
        if found.matrix is not None and edits.touches(site, "h_res"):
            is_turned = edits.get_layer(site).chosen == 1
            matrix = found.matrix.mT if is_turned else found.matrix
            changed = edits.mix(site, "h_res", matrix.expand(samples, n, n))
            shaped = _shape_like(changed.mT if is_turned else changed, found.returned[-1])
            output = replace_tensor(output, found.returned[-1], shaped)
        again = find_coefficients(state, output)
        assert again is not None, "the shapes are the same"
        return output, again

    def _find_vectors(
        self, x_nNC: torch.Tensor, found: ConnectionCall, operands: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor | None, int | None]:
        """Return H_pre (N, n) with u = H_pre x, and the index of H_post among the vectors; None for what is unknown."""
        u, vectors = found.u, found.vectors
        tolerance = find_tolerance(u.dtype, autocast=find_autocast(u))
        returned = vectors if len(vectors) > 1 else []
        h_pre = find_read_weights(x_nNC, self.adapter.to_rows(u.detach()), [*operands, *returned], tolerance)
        rest = [k for k, x in enumerate(vectors) if h_pre is None or not _is_same(x, h_pre)]
        return h_pre, rest[0] if len(rest) == 1 else None

    def _leave_last(self, site: int, state: torch.Tensor) -> None:
        """Record the layer that is open, with the state that enters the next layer; discard it if a new pass begins."""
        if site in self.seen:  # another pass, or a recomputation
            self.open, self.seen = None, set()
        elif self.open is not None and self.open.state.shape == state.shape:
            self._record_layer(state)  # the state that enters this layer, even if the block has changed it before

    @torch.no_grad()
    def _identify_vectors(
        self, layer: _OpenLayer, operands: Sequence[torch.Tensor], factors: Sequence[torch.Tensor]
    ) -> None:
        """Find which of the connection's vectors are H_pre and H_post, and confirm the adapter if H_pre is found.

        Without H_pre, look for gates by which the branch multiplies each feature, among the factors of products.
        """
        x_nNC = self.adapter.to_streams(layer.state.detach())
        layer.h_pre, place = self._find_vectors(x_nNC, layer.found, operands)
        if layer.h_pre is not None:
            self.recorder.confirm()
        else:
            u = layer.found.u.detach()
            tolerance = find_tolerance(u.dtype, autocast=find_autocast(u))
            gates = find_gates(x_nNC, self.adapter.to_rows(u), factors, tolerance)
            kept = torch.from_numpy(pick_features(x_nNC.shape[2], len(x_nNC))).to(x_nNC.device)
            layer.gates = None if gates is None else gates[..., kept]
        layer.h_post = None if place is None else layer.found.vectors[place]

    def record_part(self, name: str, module: nn.Module, args: Any, output: Any) -> Any:
        """Record the call of a part of the block. The last one before the next state is computed is the branch."""
        changed = self._edit_branch(module, output)
        output, layer = output if changed is None else changed, self.open
        if layer is None or layer.is_left:
            return changed
        layer.parts.append(module)
        y = find_like(output, layer.found.u.shape)
        if y is not None:
            layer.y, layer.branch, layer.name = y, module, name_branch(name)
        return changed

    def _edit_branch(self, module: nn.Module, output: Any) -> Any:
        """Return the output of a hyper-connection's branch after its edits; None if it is not edited."""
        site = next((site for site, branch in self.adapter.branches.items() if branch is module), None)
        if self.edits is None or site is None or not self.edits.touches(site, "branch"):
            return None
        y = find_like(output, self.read_shape)
        return None if y is None else replace_tensor(output, y, self.edits.output(site, y))

    def leave_block(self, block: nn.Module, args: Any, output: Any) -> None:
        """Record the state that a block returns. A block that raised has none."""
        self.replacement.stop()
        after = None if self.open is None else find_like(output, self.open.state.shape)
        if after is not None:
            self._record_layer(after)

    def _record_layer(self, after: torch.Tensor) -> None:
        """Record the open layer with the state after it, and store its branch in the adapter if nothing is edited."""
        assert self.open is not None
        self.open.is_left = True
        if self.edits is None and self.open.branch is not None:
            self.adapter.branches[self.open.site] = self.open.branch
        self.recorder.leave(self.open.site, self.open.build(after))


def _shape_like(changed: torch.Tensor, returned: torch.Tensor) -> torch.Tensor:
    """Return coefficients (N, ...) in the shape of those that a connection returned."""
    is_static = returned.numel() < changed.numel()
    return (changed[0] if is_static else changed).reshape(returned.shape)


def find_autocast(x: torch.Tensor) -> torch.dtype | None:
    """Return the type of matrix products under autocast; None without autocast."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def name_branch(name: str) -> str:
    """Return the kind of a block's part: attention, mlp, or its own name."""
    return next((kind for key, kind in KINDS.items() if key in name.lower()), name)


def _is_same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one.detach().float().expand_as(other), other.float())
