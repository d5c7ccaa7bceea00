"""What is refused to every caller, and by which figure: predicted cost, traces that are read or grow."""

from collections.abc import Sequence

from app.services.errors import QueueFullError, TooExpensiveError, TooManyLiveTracesError
from app.settings import Settings
from mhc_core.cost.estimates import Estimate
from mhc_core.findings.numerals import format_value
from mhc_core.spec import RunSpec, SpecError

# Fields that cost grows with, and where to read them.
SIZES = ("depth", "width", "connection.streams", "block.mlp_ratio", "input.batch", "input.tokens", "train.steps")
MAX_UPLOADS = 4  # traces that are read at a time; each holds one frame in memory


def check_cost(spec: RunSpec, cost: Estimate, settings: Settings) -> list[SpecError]:
    """Why this server does not admit the spec: one error a size field and figure; empty where it does."""
    errors = []
    if cost.seconds > settings.max_run_seconds:
        got, limit = (
            f"{format_value(cost.seconds, digits=3)} s predicted",
            f"at most {settings.max_run_seconds:g} s of predicted time",
        )
        errors += [SpecError(field, got, limit) for field in _large_fields(spec)]
    if cost.peak_bytes > settings.max_run_bytes:
        got = f"{format_value(cost.peak_bytes / 1e9, digits=3)} GB predicted"
        limit = f"at most {settings.max_run_bytes / 1e9:.3g} GB of predicted memory"
        errors += [SpecError(field, got, limit) for field in _large_fields(spec)]
    return errors


def require_admissible(spec: RunSpec, cost: Estimate, settings: Settings) -> None:
    """Refuse a spec that is predicted to cost too much."""
    errors = check_cost(spec, cost, settings)
    if errors:
        detail = "; ".join(dict.fromkeys(f"{error.got}, wanted {error.wanted}" for error in errors))
        fields = ", ".join(dict.fromkeys(error.field for error in errors))
        raise TooExpensiveError(f"{detail}; lower {fields}", errors)


def require_trace_room(being_read: int) -> None:
    """Refuse a trace while as many are being read as memory is there for."""
    if being_read >= MAX_UPLOADS:
        raise QueueFullError(f"{being_read} traces are being read; at most {MAX_UPLOADS} are at a time")


def require_live_room(growing: int, settings: Settings) -> None:
    """Refuse one more trace that grows."""
    if growing >= settings.max_live_traces:
        raise TooManyLiveTracesError(f"{growing} traces grow here; {settings.max_live_traces} are allowed at a time")


def _large_fields(spec: RunSpec) -> Sequence[str]:
    """The size fields that stand above their defaults; every size field where none does."""
    default = RunSpec()
    return [path for path in SIZES if _value(spec, path) > _value(default, path)] or SIZES


def _value(spec: RunSpec, path: str) -> int:
    value: object = spec
    for name in path.split("."):
        value = getattr(value, name)
    assert isinstance(value, int)
    return value
