"""Monitor a model while it trains: record it into a growing recording, and raise alarms as sentences."""

from mhc_probe.monitor.alarm import Alarm, Limits
from mhc_probe.monitor.monitor import Monitor
from mhc_probe.monitor.sealing import seal

__all__ = ["Alarm", "Limits", "Monitor", "seal"]
