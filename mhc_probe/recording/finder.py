"""Find the adapters that fit the structure of a model."""

from collections.abc import Iterable

from torch import nn

from mhc_core.spec import SpecError
from mhc_probe.adapter import Adapter
from mhc_probe.candidates import Candidates
from mhc_probe.recording.altup import AlternatingUpdates, find_predictors
from mhc_probe.recording.branches import Branches
from mhc_probe.recording.compiled import unwrap
from mhc_probe.recording.depth import DepthReading, find_reads
from mhc_probe.recording.detection import find_connections
from mhc_probe.recording.hyper import HyperConnections
from mhc_probe.recording.residual import Residual
from mhc_probe.recording.source_lists import SourceLists, find_reading_blocks
from mhc_probe.recording.split import SplitConnections, find_split
from mhc_probe.recording.stacks import find_layers, list_parts


def build_candidates(model: nn.Module, layers: Iterable[nn.Module] | None = None) -> Candidates:
    """Return adapters for the model, or for the modules listed as its layers.

    Raises
    ------
    SpecError
        If the structure does not determine the layers, or `layers` is empty.
    """
    model = unwrap(model)
    if layers is not None:
        listed = [part for layer in layers for part in list_parts(layer)]
        if not listed:
            raise SpecError("layers", "none", "one module at least")
        return Candidates(_build_residual(model, listed))
    if split := find_split(model):
        return Candidates([SplitConnections(model, split)])
    connection_sites = find_connections(model)
    connections = [HyperConnections(connection_sites)] if connection_sites else []
    reads, predictors = find_reads(model), find_predictors(model)
    others: list[Adapter] = [DepthReading(model, reads)] if reads else []
    others += [SourceLists(model, blocks)] if (blocks := find_reading_blocks(model)) else []
    others += [AlternatingUpdates(predictors)] if predictors else []
    found, refusal = find_layers(model)
    if not found and not connection_sites and not others and refusal is not None:
        raise refusal
    return Candidates([*others, *connections, *(_build_residual(model, found) if found else [])], refusal)


def _build_residual(model: nn.Module, layers: list[nn.Module]) -> list[Residual]:
    """Return two adapters for residual layers: the sum may be inside a layer, or in the code that calls it."""
    return [Residual(model, layers), Branches(model, layers)]
