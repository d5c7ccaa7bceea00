"""Add commands to `mhc-scope`, by the entry point `service` of the group `mhc_scope.commands`."""

from types import ModuleType

from mhc_service.commands import tokens

COMMANDS: tuple[ModuleType, ...] = (tokens,)
