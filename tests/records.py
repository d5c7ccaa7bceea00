"""Small frames of a trace, for tests that store or serve records without computing any."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mhc_core.record.frames import AnyFrame, StartFrame, SummaryFrame
from mhc_core.record.source import Model, TraceSource
from mhc_core.record.start import CapturedInput, Device, Versions
from mhc_core.record.summary import Finding, Headline

TRACE = TraceSource(model=Model(name="Ours", parameters=12), versions={"torch": "2.9"})
START = StartFrame(
    source=TRACE,
    device=Device(type="cpu", name="cpu"),
    versions=Versions(mhc_scope="0.1", torch="2.9", numpy="2.0"),
    layers=4,
    streams=1,
    blocks=["Linear"] * 4,
    input=CapturedInput(samples=8),
)
SUMMARY = SummaryFrame(
    headline=Headline(label="gain", value=1.0, log10=0.0, text="gain 1.00"),
    findings=[Finding(key="connection", text="One stream.", panel="gain", numbers={})],
)


def anonymise(frames: Iterable[AnyFrame], **changes: Any) -> list[AnyFrame]:
    """The frames of a run as if of a model that no one knows the spec of; fields of the start frame may be changed."""
    lost = dict.fromkeys(("spec", "cost", "theory", "drift", "no_law"))
    start = {"source": TRACE, "input": START.input, **lost, **changes}
    return [replace(frame, **start) if isinstance(frame, StartFrame) else frame for frame in frames]
