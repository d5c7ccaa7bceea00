"""Define the result of one check of someone's module, with Python that reproduces a failure."""

from dataclasses import dataclass
from textwrap import indent

import torch

from mhc_core.checks.check import Check

HEADER = "import torch\nfrom mhc_probe.conformance import open_bench\nbench = open_bench(module)\n"


@dataclass(frozen=True)
class ModuleCheck(Check):
    """The result of one check of an implementation, in words. Verdict `skipped`: the module prevents the measurement.

    Attributes
    ----------
    likely: the usual mistake behind a failure.
    reproduce: Python that shows a failure; `module` is the checked module.
    """

    expected: str = ""
    measured: str = ""
    likely: str = ""
    reproduce: str = ""

    @property
    def notes(self) -> str:
        """Return the likely mistake, followed by the reproduction."""
        likely = f"likely: {self.likely}\n" if self.likely else ""
        return (likely + indent(self.reproduce, "  ")).rstrip()


def holds(name: str, statement: str, measured: str = "") -> ModuleCheck:
    """Build a check of a module that holds."""
    return ModuleCheck(name, "holds", statement, measured=measured)


def fails(
    name: str, statement: str, expected: str, measured: str, reproduce: str = "", likely: str = ""
) -> ModuleCheck:
    """Build a check of a module that fails.

    reproduce: code that follows the setup of a bench. likely: the usual mistake.
    """
    code = HEADER + reproduce if reproduce else ""
    return ModuleCheck(name, "fails", statement, expected, measured, likely=likely, reproduce=code)


def design(name: str, statement: str, measured: str = "") -> ModuleCheck:
    """Build a check with the verdict `design`: the module differs from the paper by a known choice of other authors."""
    return ModuleCheck(name, "design", f"design: {statement}", measured=measured)


def judge(
    name: str, statement: str, expected: str, measured: str, reproduce: str, likely: str = "", *, is_right: bool
) -> ModuleCheck:
    """Build a check of a module that holds or fails, depending on `is_right`."""
    if is_right:
        return holds(name, statement, measured)
    return fails(name, statement, expected, measured, reproduce, likely)


def to_code(values: torch.Tensor) -> str:
    """Return a tensor as Python code with two decimals."""
    return f"torch.tensor({[[round(v, 2) for v in row] for row in values.tolist()]})"


def format_number(value: float) -> str:
    """Format a number of a check with three significant digits."""
    return f"{value:.3g}"
