"""A model watched while it trains: a trace that grows, and alarms in words."""

from mhc_core.attach.monitor.alarms import Alarm, Limits
from mhc_core.attach.monitor.monitor import Monitor
from mhc_core.attach.monitor.sealing import seal

__all__ = ["Alarm", "Limits", "Monitor", "seal"]
