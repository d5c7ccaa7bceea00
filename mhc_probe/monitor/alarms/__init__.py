"""Find problems in training and describe each in a sentence with its layer and its value."""

from mhc_probe.monitor.alarms.alarm import Alarm, AlarmLog, Limits
from mhc_probe.monitor.alarms.checks import find_alarms
from mhc_probe.monitor.alarms.decay import check_decay
from mhc_probe.monitor.alarms.history import History

__all__ = ["Alarm", "AlarmLog", "History", "Limits", "check_decay", "find_alarms"]
