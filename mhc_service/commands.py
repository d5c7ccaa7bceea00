"""Define the commands that the service adds to `mhc-scope` by the entry point `service` of `mhc_scope.commands`."""

from types import ModuleType

from mhc_service import token_command

COMMANDS: tuple[ModuleType, ...] = (token_command,)
