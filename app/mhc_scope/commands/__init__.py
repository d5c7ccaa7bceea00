"""Run commands for operators, one file each: `add_parser` defines its arguments, `run` returns the exit code.

A command adds its parser with `set_defaults(run=run)`; add its module to `COMMANDS`.
"""

from types import ModuleType

from mhc_scope.commands import backup, check_data, prune, site

COMMANDS: tuple[ModuleType, ...] = (backup, check_data, prune, site)
