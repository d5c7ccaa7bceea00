"""Format a table of a checkpoint's layers: streams in use, and norms of reads and writes, also in the fixed basis."""

import numpy as np

from mhc_core.findings.numerals import format_value
from mhc_core.record.result import Result

MOST_ROWS = 24
NEEDED = ("kernel_rank", "gauge_read_norm", "gauge_write_norm")
TITLES = ("layer", "branch", "streams in use", "reads", "in the fixed basis", "writes", "in the fixed basis")
NOTE = (
    "Streams in use: how many streams carry outputs up to the layer to later ones (effective number). Reads and\n"
    "writes: norms of H_pre and H_post as stored, and in the basis of the streams in which every H_res is the identity."
)


def format_layers(result: Result) -> str:
    """Format a table of a checkpoint's layers; "" if the reads are not known.

    At most `MOST_ROWS` layers are shown, evenly spaced from the first to the last.
    """
    if any(key not in result.layers for key in NEEDED):
        return ""
    layers = np.unique(np.linspace(0, result.depth - 1, min(result.depth, MOST_ROWS)).round().astype(int))
    rows = [TITLES, *(_list_cells(result, int(layer)) for layer in layers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left_out = f" {len(layers)} of {result.depth} layers." if len(layers) < result.depth else ""
    return "\n".join([*(_format_row(row, widths) for row in rows), f"{NOTE}{left_out}"])


def _list_cells(result: Result, layer: int) -> tuple[str, ...]:
    """Return the texts of one layer's row."""
    used, read, write = (_format_cell(result, key, layer) for key in NEEDED)
    stored = (float(np.linalg.norm(result.matrices[key][layer])) for key in ("h_pre", "h_post"))
    plain_read, plain_write = (format_value(norm, digits=3) for norm in stored)
    return str(layer + 1), result.blocks[layer], used, plain_read, read, plain_write, write


def _format_cell(result: Result, key: str, layer: int) -> str:
    """Format the value of a metric at one layer."""
    log10 = float(result.layers_log10[key][layer]) if key in result.layers_log10 else None
    return format_value(float(result.layers[key][layer]), log10, result.status.get(key, {}).get(layer), digits=3)


def _format_row(row: tuple[str, ...], widths: list[int]) -> str:
    """Join the cells of a row, the branch aligned to the left."""
    cells = zip(TITLES, row, widths, strict=True)
    return "  ".join(cell.ljust(width) if title == "branch" else cell.rjust(width) for title, cell, width in cells)
