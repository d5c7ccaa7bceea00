"""Commands for operators, one file each: `add_parser` defines the arguments, `run` returns the exit code.

`add_parser` must call `set_defaults(run=run)`. To add a command, add its module to `COMMANDS`.
"""

from types import ModuleType

from mhc_scope.commands import backup, check_data, prune, site

COMMANDS: tuple[ModuleType, ...] = (backup, check_data, prune, site)
