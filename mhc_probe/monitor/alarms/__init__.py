"""What has gone wrong in training, in words, with its layer and its number."""

from mhc_probe.monitor.alarms.board import Alarm, Board, Limits
from mhc_probe.monitor.alarms.course import Course
from mhc_probe.monitor.alarms.signs import find_signs

__all__ = ["Alarm", "Board", "Course", "Limits", "find_signs"]
