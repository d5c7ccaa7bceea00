"""Build lines of a report and their reproductions."""

import torch

from mhc_probe.conformance.report import Line

HEADER = "import torch\nfrom mhc_probe.conformance import open_bench\nbench = open_bench(module)\n"


def holds(name: str, why: str, got: str = "") -> Line:
    """Return a line that holds."""
    return Line(name, "holds", why, got=got)


def fails(name: str, why: str, expected: str, got: str, reproduce: str = "", likely: str = "") -> Line:
    """Return a line that fails. `reproduce` follows the opening of a bench on `module`; `likely` is the mistake."""
    return Line(name, "fails", why, expected, got, HEADER + reproduce if reproduce else "", likely)


def judge(name: str, why: str, expected: str, got: str, reproduce: str, likely: str = "", *, is_right: bool) -> Line:
    """Return a line that holds or fails, depending on `is_right`."""
    return holds(name, why, got) if is_right else fails(name, why, expected, got, reproduce, likely)


def to_code(values: torch.Tensor) -> str:
    """Return a tensor as Python code with two decimals."""
    return f"torch.tensor({[[round(v, 2) for v in row] for row in values.tolist()]})"


def format_number(value: float) -> str:
    """Return a number with three significant digits."""
    return f"{value:.3g}"
