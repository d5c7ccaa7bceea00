"""Commands for operators, one file each: `add_parser` says what it takes, `run` does it and returns the exit code.

A command adds its parser with `set_defaults(run=run)`; add its module to `COMMANDS`.
"""

from types import ModuleType

from mhc_scope.commands import backup, check_data, prune, site

COMMANDS: tuple[ModuleType, ...] = (backup, check_data, prune, site)
