"""Checks a record from an untrusted source frame by frame, in bounded memory."""

from copy import copy
from dataclasses import fields
from typing import Any

import orjson
from pydantic import ValidationError

from mhc_core.record.codec import to_fields, to_plain
from mhc_core.record.frames import FRAME, FRAME_KINDS, AnyFrame, EndFrame, StartFrame, StepFrame, SummaryFrame
from mhc_core.record.groups import Groups
from mhc_core.record.order import Order
from mhc_core.record.start import CapturedInput
from mhc_core.record.texts import MAX_COUNT, check_plain
from mhc_core.spec import EditSpec, SpecError, SpecErrors, parse_spec
from mhc_core.spec.edit import MAX_EDITS
from mhc_core.spec.errors import to_plain_error, to_spec_errors

# Types of frames that a trace may have. The others belong to runs, which are computed from a spec.
OF_TRACES = ("start", "forward", "similarity", "loss", "backward", "mixing", "step", "atlas", "summary", "end")
RUN_ID_BYTES = 64
MAX_LAYERS = 2048
MAX_STREAMS = 64
MAX_MIXING_ENTRIES = 2**20  # layers x streams^2: an array of this size is allocated for the first matrix
# Keys that frames of a trace cannot have, because they follow from a spec.
OF_SPECS = ("spec", "cost", "theory", "drift", "no_law")


class Checker:
    """Checks the lines of one record in order. Raises SpecError for frames that are invalid, out of order, or
    inconsistent with the start frame.

    Parameters
    ----------
    only_traces: whether records of specs are refused; default False.
    names_run: whether all lines must name the same record; default True.

    Attributes
    ----------
    count: number of frames so far.
    start: the start frame; None before it has come.
    """

    def __init__(self, *, only_traces: bool = False, names_run: bool = True) -> None:
        self._only_traces, self._names_run = only_traces, names_run
        self._order = Order()
        self._groups: Groups | None = None
        self._run: str | None = None
        self._last = "none"
        self._is_whole = False
        self.count = 0
        self.start: StartFrame | None = None

    def take(self, line: bytes) -> AnyFrame:
        """Check the next line of a record, and return its frame.

        Raises
        ------
        SpecError
            Names the frame and the field: `frames[12].values.h_res`.
        """
        path = f"frames[{self.count}]"
        data = _parse_line(line, path)
        self._check_head(data, path)
        frame = _to_frame(data, path)
        self._order.take(frame, path)
        if isinstance(frame, StartFrame):
            self._take_start(frame, path)
        self._check_layer(frame, path)
        assert self._groups is not None, "the order begins with a start frame"
        self._groups.check(frame, path)
        _check_counts(frame, path)
        if isinstance(frame, SummaryFrame | EndFrame):
            check_plain(to_plain(to_fields(frame)), path)
        if isinstance(frame, StepFrame) and frame.story is not None:
            check_plain(to_plain(to_fields(frame.story)), f"{path}.story")
        self._is_whole |= isinstance(frame, SummaryFrame)
        self.count, self._last = self.count + 1, frame.type
        return frame

    def finish(self) -> None:
        """Check that the record is complete after its last frame.

        Raises
        ------
        SpecError
            If it is not complete.
        """
        if not self._is_whole:
            got = f"{self.count} frames, the last of them {self._last}"
            raise SpecError("frames", got, "a whole record, from start to summary")

    def fork(self) -> "Checker":
        """Return an independent copy. Frames that the copy checks do not change this checker."""
        copied = copy(self)
        copied._order, copied._groups = copy(self._order), self._groups and self._groups.fork()
        return copied

    def _check_head(self, data: dict[str, Any], path: str) -> None:
        """Check the keys that all frames have: the run's id, the frame's index and its type."""
        run, index, kind = data.get("run"), data.get("index"), data.get("type")
        is_other = self._names_run and self._run is not None and run != self._run
        if not isinstance(run, str) or len(run) > RUN_ID_BYTES or is_other:
            raise SpecError(f"{path}.run", run, "the id of the record, the same in all frames")
        if type(index) is not int or index != self.count:
            raise SpecError(f"{path}.index", index, f"{self.count}: frames count from 0 without a gap")
        allowed = OF_TRACES if self._only_traces else [name for name in FRAME_KINDS if name != "recomputation"]
        if kind not in allowed:
            raise SpecError(f"{path}.type", kind, f"one of {', '.join(allowed)}")
        self._run = run

    def _take_start(self, frame: StartFrame, path: str) -> None:
        """Check the start frame of a run or of a trace, and prepare the checks of later frames."""
        if (frame.spec is None) == (frame.source is None):
            raise SpecError(f"{path}.source", "a spec and a source, or neither", "one of them")
        if frame.spec is not None:
            self._require_spec(frame.spec, path)
        else:
            _check_trace(frame, path)
        _check_sizes(frame, path)
        self.start, self._groups = frame, Groups(frame.layers, frame.streams, frame.width)

    def _require_spec(self, spec: dict[str, Any], path: str) -> None:
        """Check that a run's spec is valid, and that runs are allowed here."""
        if self._only_traces:
            raise SpecError(f"{path}.source", "a spec", "a trace: a run is had by posting its spec to /runs")
        try:
            parse_spec(spec)
        except SpecErrors as errors:
            first = errors.errors[0]
            raise SpecError(f"{path}.spec.{first.field}", first.got, first.wanted) from None

    def _check_layer(self, frame: AnyFrame, path: str) -> None:
        """Check that the layer of a frame is one of the record's."""
        layer = getattr(frame, "layer", None)
        if layer is None:
            return
        assert self.start is not None
        lowest, layers = 0 if frame.type == "similarity" else -1, self.start.layers
        if not lowest <= layer < layers:
            raise SpecError(f"{path}.layer", layer, f"{lowest} to {layers - 1}")


def _parse_line(line: bytes, path: str) -> dict[str, Any]:
    """Parse a line as a JSON object; raise SpecError if it is not one."""
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise SpecError(path, str(error), "JSON in UTF-8 whose numbers are finite") from None
    if not isinstance(data, dict):
        raise SpecError(path, type(data).__name__, "an object")
    return data


def _to_frame(data: dict[str, Any], path: str) -> AnyFrame:
    """Convert a JSON object to a frame; raise SpecError for fields that are missing, unknown or of the wrong type."""
    try:
        return FRAME.validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        names = [str(name) for name in first["loc"][1:]]  # the first is the type of the frame
        raise to_plain_error(".".join([path, *names]), first) from None


def _check_trace(frame: StartFrame, path: str) -> None:
    """Check the start frame of a trace: no fields of specs, a captured input, valid edits and plain texts."""
    for name in OF_SPECS:
        if getattr(frame, name) is not None:
            raise SpecError(f"{path}.{name}", name, "nothing: a trace has no spec, and nothing that follows from one")
    if not isinstance(frame.input, CapturedInput):
        raise SpecError(f"{path}.input.kind", frame.input.kind, "captured")
    edits = (frame.source and frame.source.edits) or []
    if len(edits) > MAX_EDITS:
        raise SpecError(f"{path}.source.edits", f"{len(edits)} edits", f"at most {MAX_EDITS}")
    for place, edit in enumerate(edits):
        _check_edit(edit, f"{path}.source.edits.{place}")
    check_plain(to_plain(to_fields(frame)), path)


def _check_edit(edit: dict[str, Any], path: str) -> None:
    """Check that an edit of a trace is valid."""
    try:
        EditSpec.model_validate(edit)
    except ValidationError as error:
        first = to_spec_errors(error, EditSpec.model_json_schema()).errors[0]
        raise SpecError(f"{path}.{first.field}", first.got, first.wanted) from None


def _check_sizes(frame: StartFrame, path: str) -> None:
    """Check the numbers of layers, streams and features in a start frame against the limits."""
    for name, value, most in (("layers", frame.layers, MAX_LAYERS), ("streams", frame.streams, MAX_STREAMS)):
        if not 1 <= value <= most:
            raise SpecError(f"{path}.{name}", value, f"1 to {most}")
    if frame.layers * frame.streams**2 > MAX_MIXING_ENTRIES:
        raise SpecError(f"{path}.streams", frame.streams, f"layers x streams^2 of at most {MAX_MIXING_ENTRIES}")
    if frame.width is not None and frame.width < 1:
        raise SpecError(f"{path}.width", frame.width, "at least 1")
    if len(frame.blocks) != frame.layers:
        raise SpecError(f"{path}.blocks", f"{len(frame.blocks)} names", f"{frame.layers}, one for each layer")


def _check_counts(frame: AnyFrame, path: str) -> None:
    """Check that every integer of a frame is below 2^53."""
    for field in fields(frame):
        value = getattr(frame, field.name)
        if isinstance(value, int) and not -1 <= value < MAX_COUNT:
            raise SpecError(f"{path}.{field.name}", value, "an integer below 2^53")
