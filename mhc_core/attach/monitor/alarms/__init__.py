"""What has gone wrong in training, in words, with its layer and its number."""

from mhc_core.attach.monitor.alarms.board import Alarm, Board, Limits
from mhc_core.attach.monitor.alarms.course import Course
from mhc_core.attach.monitor.alarms.signs import find_signs

__all__ = ["Alarm", "Board", "Course", "Limits", "find_signs"]
