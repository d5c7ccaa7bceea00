"""Describe one observation of a growing recording with the same findings as a finished one."""

from collections.abc import Sequence

from mhc_core.findings.captured import describe_heard, describe_peak
from mhc_core.record.frames import SummaryFrame
from mhc_core.record.summary import Finding, Story
from mhc_probe.monitor.observation import Observation

MAX_ALARMS = 3  # number of alarms in a story, the newest; the end of the record has all


def build_story(observation: Observation, alarms: Sequence[Finding]) -> Story:
    """Return the newest alarms, then findings: what was observed, the gain, the largest state, and the others."""
    [summary] = [frame for frame in observation.frames if isinstance(frame, SummaryFrame)]
    scope = describe_heard(observation.result, observation.iteration)
    gain, *others = summary.findings
    peak = describe_peak(observation.result)
    findings = [*reversed(alarms[-MAX_ALARMS:]), scope, gain, *([] if peak is None else [peak]), *others]
    return Story(headline=summary.headline, findings=findings)
