"""Define the commands that the probe adds to `mhc-scope`: `add_parser` adds a parser, `run` returns the exit code.

The instrument finds them by the entry point `probe` of the group `mhc_scope.commands`. They import torch when they run.
"""

from types import ModuleType

from mhc_probe import check_command, trace_command

COMMANDS: tuple[ModuleType, ...] = (check_command, trace_command)
