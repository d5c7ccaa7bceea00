"""Record Hyper-Connections with one method before and one after the branch, as in the package hyper-connections.

width_connection(state) returns the branch's input, the mixed streams and the weights `beta`, which are H_post;
depth_connection(y, mixed, beta=...) returns the next state. The matrix alpha (s, 1 + s), whose first column is H_pre
and whose other columns are H_res transposed, is not returned: it is found among the operands and checked against the
branch's input. The s streams share an axis with the batch, state (B s, ..., C), or (B s, C, ...) if channels come
first, or precede the channels, state (B, ..., s, C).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from mhc_core.spec import SpecError
from mhc_core.spec.edit import What
from mhc_probe.adapter import Adapter, LayerPass, LayerRecorder, LayerSite
from mhc_probe.edits import ModelEdits
from mhc_probe.laws import find_tolerance, measure_read_error
from mhc_probe.recording.coefficients import mix_streams, read_streams
from mhc_probe.recording.hyper import find_autocast, name_branch
from mhc_probe.recording.joined import JoinedLayer, JoinedPasses
from mhc_probe.recording.values import list_tensors, replace_tensor

METHODS = ("width_connection", "depth_connection")


def find_split(model: nn.Module) -> list[nn.Module]:
    """Return the connections of several streams with separate methods before and after the branch."""
    return [
        module
        for module in model.modules()
        if all(callable(getattr(module, name, None)) for name in METHODS) and hasattr(module, "num_residual_streams")
    ]


class SplitConnections(Adapter):
    """One layer per connection."""

    def __init__(self, model: nn.Module, connections: Sequence[Any]) -> None:
        self.connections = list(connections)
        for connection in self.connections:
            _check(connection)
        self.streams = int(self.connections[0].num_residual_streams)
        self.channels_first = bool(getattr(self.connections[0], "channel_first", False))
        self._with_stream_axis: set[torch.Size] = set()  # shapes of states with an axis for streams
        self.sites = [LayerSite("branch", _list_own(connection)) for connection in self.connections]
        self.model = model

    def register_hooks(self, recorder: LayerRecorder, edits: ModelEdits | None = None) -> list[Callable[[], None]]:
        """Replace the methods before and after the branch; return functions that undo this."""
        hooks = _SplitHooks(self, recorder, edits)
        undo: list[Callable[[], None]] = []
        for site, connection in enumerate(self.connections):
            for name, replace in zip(METHODS, (hooks.read, hooks.write), strict=True):
                method = getattr(connection, name)
                # As an attribute of the instance, it precedes the method of the class.
                connection.__dict__[name] = partial(replace, site, method)
                undo.append(partial(connection.__dict__.pop, name))
        if any(getattr(connection, "branch", None) is None for connection in self.connections):
            # The branch may be anywhere inside or outside of the model.
            undo.append(register_module_forward_hook(hooks.record_part).remove)
        return undo

    def parameters(self) -> list[nn.Parameter]:
        return list(self.model.parameters())

    def find_inner(self) -> nn.Module:
        """Return the first connection, as a module inside of the model's blocks."""
        first: nn.Module = self.connections[0]
        return first

    def to_streams(self, state: torch.Tensor) -> torch.Tensor:
        """Return a state as streams (n, N, C). Streams are an axis of the state, or part of the axis of the batch."""
        if state.shape in self._with_stream_axis:
            return state.movedim(-2, 0).flatten(1, -2)
        return self._channels_last(state).unflatten(0, (-1, self.streams)).movedim(1, 0).flatten(1, -2)

    def from_streams(self, x_nNC: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Return streams (n, N, C) as a state with the axes of another one."""
        if like.shape in self._with_stream_axis:
            return x_nNC.unflatten(1, like.shape[:-2]).movedim(0, -2).contiguous()
        batch, *rest, _ = self._channels_last(like).shape
        x = x_nNC.unflatten(1, (batch // self.streams, *rest)).transpose(0, 1).flatten(0, 1)
        return (x.movedim(-1, 1) if self.channels_first else x).contiguous()

    def from_rows(self, x_NC: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Return rows (N, C) with the axes of another input or output of a branch."""
        x = x_NC.view(self._channels_last(like).shape)
        return x.movedim(-1, 1) if self.channels_first else x

    def edits_for(self, layer: JoinedLayer) -> list[What]:
        """List what edits can change in a layer: streams, branch, and the coefficients that are known."""
        found: list[What] = ["stream", "state", "branch"]
        found += [] if layer.h_pre is None else ["h_pre"]
        return found + ([] if layer.h_post is None or layer.chosen is None else ["h_post", "h_res"])

    def learn_shape(self, state: torch.Tensor, u: torch.Tensor) -> None:
        """Store whether streams have their own axis, which is so if the branch's input has one axis less."""
        if state.ndim > u.ndim:
            self._with_stream_axis.add(state.shape)

    def to_rows(self, x: torch.Tensor) -> torch.Tensor:
        return self._channels_last(x).flatten(0, -2)

    def matches(self, recorded: JoinedPasses, autocast: torch.dtype | None) -> bool:
        return True

    def propose(self, sites: Sequence[int]) -> str | None:
        return None

    def _channels_last(self, x: torch.Tensor) -> torch.Tensor:
        return x.movedim(1, -1) if self.channels_first else x


@dataclass
class _OpenSplitLayer:
    """A layer between the two methods."""

    site: int
    h_pre: torch.Tensor | None
    h_res: tuple[torch.Tensor, ...]
    parts: list[nn.Module]
    name: str
    has_no_branch: bool


class _SplitHooks:
    """Functions that replace the two methods and record their calls."""

    def __init__(self, adapter: SplitConnections, recorder: LayerRecorder, edits: ModelEdits | None) -> None:
        self.adapter, self.recorder, self.edits = adapter, recorder, edits
        self.open: _OpenSplitLayer | None = None

    def read(self, site: int, method: Callable[..., Any], residuals: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Call the method before the branch, with edits. Record the state, the branch's input, H_pre and H_res."""
        self.open = None
        arrived = residuals
        residuals = arrived if self.edits is None else self.edits.enter(site, arrived)
        is_new = self.recorder.enter(site, arrived, None if residuals is arrived else residuals)
        is_mixing_edited = self.edits is not None and self.edits.touches(site, "h_pre", "h_res")
        if not (is_new or is_mixing_edited):
            return method(residuals, *args, **kwargs)
        state = residuals.detach().clone()
        self.recorder.operations.collect(state.numel())
        operands: list[torch.Tensor] = []
        try:
            output = method(residuals, *args, **kwargs)
        finally:
            operands += self.recorder.operations.stop()
        u = next(list_tensors(output))
        self.adapter.learn_shape(state, u)
        h_pre, h_res = self._find_coefficients(state, u.detach(), operands)
        if self.edits is not None and is_mixing_edited and h_pre is not None:
            output, h_pre, h_res = self._edit_output(self.edits, site, residuals, output, h_pre, h_res)
        if not is_new:
            return output
        self.recorder.read(site, next(list_tensors(output)))
        branch = getattr(self.adapter.connections[site], "branch", None)
        name = "branch" if branch is None else name_branch(type(branch).__name__)
        parts = [] if branch is None else [branch]
        self.open = _OpenSplitLayer(site, h_pre, h_res, parts, name, branch is None)
        return output

    def _edit_output(
        self,
        edits: ModelEdits,
        site: int,
        residuals: torch.Tensor,
        output: Any,
        h_pre: torch.Tensor,
        h_res: tuple[torch.Tensor, ...],
    ) -> tuple[Any, torch.Tensor, tuple[torch.Tensor, ...]]:
        """Return the output of the first method with edited coefficients, and these coefficients."""
        x_nNC = self.adapter.to_streams(residuals)
        u, mixed, *_ = list_tensors(output)
        if edits.touches(site, "h_pre"):
            h_pre = edits.mix(site, "h_pre", h_pre)
            made = self.adapter.from_rows(read_streams(x_nNC, h_pre), u).to(u.dtype)
            output = replace_tensor(output, u, made)
        if edits.touches(site, "h_res"):
            chosen = edits.get_layer(site).chosen
            assert chosen is not None, "H_res was known without edits"
            matrix = edits.mix(site, "h_res", h_res[chosen])
            made = self.adapter.from_streams(mix_streams(x_nNC, matrix), mixed).to(mixed.dtype)
            output = replace_tensor(output, mixed, made)
            h_res = (matrix, matrix.mT) if chosen == 0 else (matrix.mT, matrix)
        return output, h_pre, h_res

    def record_part(self, module: nn.Module, args: Any, output: Any) -> None:
        """Store a module that is called between the methods. The last one contains the others and names the branch."""
        if self.open is not None and self.open.has_no_branch:
            self.open.parts.append(module)
            self.open.name = name_branch(type(module).__name__)

    def write(self, site: int, method: Callable[..., Any], y: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Call the method after the branch, with edits. Record the layer with H_post."""
        layer, self.open = self.open, None
        if self.edits is not None:
            y = self.edits.output(site, y)
            kwargs = self._edit_written(self.edits, site, kwargs)
        after = method(y, *args, **kwargs)
        if layer is not None and layer.site == site:
            beta = kwargs.get("beta")
            h_post = None if beta is None else beta.reshape(-1, self.adapter.streams)
            weights = list(dict.fromkeys(parameter for part in layer.parts for parameter in part.parameters()))
            self.recorder.leave(site, LayerPass(after, y, layer.h_pre, h_post, layer.h_res, layer.name, weights))
        return after

    def _edit_written(self, edits: ModelEdits, site: int, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the method after the branch with edited H_post."""
        beta = kwargs.get("beta")
        if beta is None or not edits.touches(site, "h_post"):
            return kwargs
        changed = edits.mix(site, "h_post", beta.reshape(-1, self.adapter.streams))
        return kwargs | {"beta": changed.view(beta.shape)}

    def _find_coefficients(
        self, state: torch.Tensor, u: torch.Tensor, operands: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor | None, tuple[torch.Tensor, ...]]:
        """Return H_pre and the candidates for H_res; None and () if no operand contains them.

        They are the first column and the other columns, as they are or transposed, of the latest operand (N, n, n + 1)
        by whose first column the branch's input u is H_pre x.
        """
        x_nNC, u_NC = self.adapter.to_streams(state), self.adapter.to_rows(u)
        n, samples, _ = x_nNC.shape
        tolerance = find_tolerance(u.dtype, autocast=find_autocast(u))
        for operand in reversed(operands):
            if operand.numel() == samples * n * (n + 1):
                alpha = operand.reshape(samples, n, n + 1)
                if measure_read_error(x_nNC, alpha[:, :, 0].detach(), u_NC) < tolerance:
                    return alpha[:, :, 0], (alpha[:, :, 1:].mT, alpha[:, :, 1:])
        return None, ()


def _list_own(connection: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of the connection without those of its branch."""
    branch = getattr(connection, "branch", None)
    of_branch = set() if branch is None else set(branch.parameters())
    return [parameter for parameter in connection.parameters() if parameter not in of_branch]


def _check(connection: Any) -> None:
    """Raise SpecError unless a connection has one H_res for all streams and one input, and adds the output itself."""
    for name, wanted in (("num_fracs", 1), ("num_input_views", 1), ("add_branch_out_to_residual", True)):
        if getattr(connection, name, wanted) != wanted:
            got = f"{type(connection).__name__} with {name}={getattr(connection, name)}"
            raise SpecError("model", got, f"{name}={wanted}, or the model's layers as `layers`")
