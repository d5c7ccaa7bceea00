"""Refuse runs whose predicted cost exceeds what the server allows for any client."""

from collections.abc import Sequence
from operator import attrgetter

from mhc_core.cost.estimates import Estimate
from mhc_core.findings.numerals import format_value
from mhc_core.spec import RunSpec, SpecError
from mhc_scope.services.errors import TooExpensiveError
from mhc_scope.settings import Settings

# Fields of a spec that increase the cost, as dotted paths.
SIZES = ("depth", "width", "connection.streams", "block.mlp_ratio", "input.batch", "input.tokens", "train.steps")


def check_cost(spec: RunSpec, cost: Estimate, settings: Settings) -> list[SpecError]:
    """Return why this server refuses a spec as too expensive, one error per size field and limit; [] if it does not."""
    errors = []
    if cost.seconds > settings.max_run_seconds:
        got, limit = f"{format_value(cost.seconds, digits=3)} s", f"{settings.max_run_seconds:g} s"
        errors += [_to_error(field, got, limit, "time") for field in _large_fields(spec)]
    if cost.peak_bytes > settings.max_run_bytes:
        got, limit = f"{format_value(cost.peak_bytes / 1e9, digits=3)} GB", f"{settings.max_run_bytes / 1e9:.3g} GB"
        errors += [_to_error(field, got, limit, "memory") for field in _large_fields(spec)]
    return errors


def _to_error(field: str, got: str, limit: str, what: str) -> SpecError:
    """Build the error of a spec that needs too much of a resource, at one of its size fields."""
    text = f"This run needs about {got} of {what}; this server allows {limit}."
    return SpecError(field, f"{got} predicted", f"at most {limit} of predicted {what}", text)


def require_admissible(spec: RunSpec, cost: Estimate, settings: Settings) -> None:
    """Refuse a spec whose predicted cost is too high."""
    errors = check_cost(spec, cost, settings)
    if errors:
        *others, last = dict.fromkeys(error.field for error in errors)
        fields = f"{', '.join(others)} or {last}" if others else last
        raise TooExpensiveError(f"{' '.join(dict.fromkeys(map(str, errors)))} Lower {fields}.", errors)


def _large_fields(spec: RunSpec) -> Sequence[str]:
    """Return the size fields that exceed their defaults; every size field if none does."""
    default = RunSpec()
    return [path for path in SIZES if attrgetter(path)(spec) > attrgetter(path)(default)] or SIZES
