"""Add commands to `mhc-scope`, by the entry point `service` of the group `mhc_scope.commands`."""

from types import ModuleType

from mhc_service import token_command

COMMANDS: tuple[ModuleType, ...] = (token_command,)
