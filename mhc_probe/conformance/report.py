"""Define the report on an implementation, with the results of all checks."""

import json
from dataclasses import asdict, dataclass

from mhc_core.checks.check import format_checks, summarise_checks, to_verdict
from mhc_probe.conformance.module_check import ModuleCheck


@dataclass(frozen=True)
class Report:
    """The checks of one module, in order."""

    subject: str
    family: str
    checks: tuple[ModuleCheck, ...]

    @property
    def passed(self) -> bool:
        """Return whether no check of the module fails."""
        return to_verdict(self.checks) != "fails"

    @property
    def failures(self) -> tuple[ModuleCheck, ...]:
        """Return the checks of the module that fail."""
        return tuple(check for check in self.checks if check.verdict == "fails")

    def __getitem__(self, name: str) -> ModuleCheck:
        """Return the check of that name. Raise KeyError if there is none."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def to_json(self) -> str:
        """Return the report as a JSON object, checks as a list."""
        return json.dumps({"passed": self.passed, **asdict(self)}, indent=2)

    def __str__(self) -> str:
        """Return a table with one row per check. A failure is followed by its reproduction."""
        head = f"{self.subject}, checked as {self.family}"
        return "\n".join([head, format_checks(self.checks), summarise_checks(self.checks)])
