"""Find mixing that weight decay alone returns to uniform."""

import math
from collections.abc import Iterator

from mhc_core.findings.words import format_number
from mhc_probe.monitor.alarms.alarm import Alarm, Limits
from mhc_probe.monitor.decay import Decay
from mhc_probe.monitor.observation import Observation

LITTLE = 0.01  # of the mixing parameters: what is called uniform


def check_decay(observation: Observation, decay: Decay | None, updates: int | None, limits: Limits) -> Iterator[Alarm]:
    """Raise an alarm if weight decay alone leaves too little of the mixing parameters by the last planned update, or
    has left too little so far.
    """
    if decay is None:
        return
    end = observation.iteration if updates is None else max(updates, observation.iteration)
    log_share = decay.predict_log_share(end - observation.iteration)
    if log_share >= math.log(limits.decay):
        return
    share, until = math.exp(log_share), observation.iteration + decay.count_updates(LITTLE)
    by = f"by update {end}" if end > observation.iteration else f"in {end} updates"
    halves = f"halves them every {round(decay.half_life)} updates" if math.isfinite(decay.half_life) else "has ended"
    decays = f", {_format_percent(LITTLE)} is left at update {math.ceil(until)}" if math.isfinite(until) else ""
    text = (
        f"Weight decay alone leaves {_format_percent(share)} of the mixing parameters {by}: it {halves}{decays}. "
        "Logits that decay to 0 make mixing uniform, as far as gradients do not act against it."
    )
    yield Alarm(kind="decay", text=text, layer=None, value=share, limit=limits.decay, panel="mixing")


def _format_percent(share: float) -> str:
    return f"{format_number(100 * share)} %"
