"""What has gone wrong in training, in words, with its layer and its number."""

from mhc_probe.monitor.alarms.board import Alarm, AlarmLog, Limits
from mhc_probe.monitor.alarms.course import History
from mhc_probe.monitor.alarms.signs import find_signs

__all__ = ["Alarm", "AlarmLog", "History", "Limits", "find_signs"]
