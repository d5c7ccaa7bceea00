"""Read the settings of a command, and report each error in one line."""

import difflib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from mhc_scope.extension import MissingExtension, find_extension, load_extension
from mhc_scope.settings import Settings

PREFIX = "MHC_"
# Variables of clients, which may be set on a server's machine too.
CLIENT_VARIABLES = {"MHC_SCOPE_URL", "MHC_SCOPE_TOKEN"}
# A URL may contain a password.
SECRET_SETTINGS = {"database_url"}


class InvalidSettings(Exception):
    """Variables or flags are not valid. The text has a line for each, with name, received value and allowed values."""


def load_settings(arguments: Sequence[str] | None = None, kind: type[Settings] | None = None, **flags: Any) -> Settings:
    """Read the settings from the environment variables and the flags of a command.

    Parameters
    ----------
    arguments: the arguments of `serve`, whose flags are the settings.
    kind: class of the settings; by default `--service` or MHC_SERVICE selects it.
    flags: parsed flags of other commands; None if the flag is absent.

    Raises
    ------
    InvalidSettings
        If a variable or a flag is not valid.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    kind = kind or _choose_type(arguments or ())
    try:
        if arguments is None:
            return kind(**given)
        return kind(_cli_parse_args=list(arguments), _cli_prog_name="mhc-scope serve", _cli_exit_on_error=False)
    except SettingsError as error:
        raise InvalidSettings(_explain_flags(str(error), kind)) from None
    except ValidationError as error:
        named = {to_flag(name) for name in given} | {word.partition("=")[0] for word in arguments or ()}
        lines = (_explain_error(item, named, kind) for item in error.errors(include_url=False))
        raise InvalidSettings("\n".join(lines)) from None


class _Choice(BaseSettings):
    """The setting that determines which other settings exist."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    service: bool = False


def _choose_type(arguments: Sequence[str]) -> type[Settings]:
    """Return the class of the instrument's settings, or with `--service` that of the service's settings.

    If MHC_SERVICE is not a boolean, reading the settings will report it as an error.
    """
    flags = [word for word in arguments if word in ("--service", "--no-service")]
    try:
        is_service = flags[-1] == "--service" if flags else _Choice().service
        return load_extension().settings_type if is_service else Settings
    except ValidationError:
        return Settings
    except MissingExtension as error:
        raise InvalidSettings(str(error)) from None


def find_unknown_variables(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each `MHC_*` variable of the environment that is not a setting.

    Such variables do not stop a server, because containers inherit variables that were not meant for it (Kubernetes
    adds some for each service), and an older release must start with the variables of a newer one.
    """
    known = {to_variable(name) for name in type(settings).model_fields} | CLIENT_VARIABLES
    extension = find_extension()
    added = {to_variable(name) for name in extension.settings_type.model_fields} if extension else set()
    for name in sorted(os.environ):
        if not name.upper().startswith(PREFIX) or name.upper() in known:
            continue
        if name.upper() in added:
            yield f"the variable {name} is ignored: it is a setting of --service"
        else:
            yield f"the variable {name} is ignored: there is no such setting{_suggest_name(name.upper(), known)}"


def print_unknown_variables(settings: Settings) -> None:
    """Print the sentences of `find_unknown_variables` to the standard error."""
    for sentence in find_unknown_variables(settings):
        print(f"warning: {sentence}", file=sys.stderr)


def to_flag(name: str) -> str:
    """Return the command line flag of a setting, such as `--max-rooms`."""
    return f"--{name.replace('_', '-')}"


def to_variable(name: str) -> str:
    """Return the environment variable of a setting, such as `MHC_MAX_ROOMS`."""
    return f"{PREFIX}{name.upper()}"


def _explain_error(item: Any, flags: set[str], kind: type[Settings]) -> str:
    """Return a sentence about an invalid setting, by the name of its flag or variable, without values of secrets."""
    if not item["loc"]:  # an error about several settings together
        return str(item["ctx"]["error"])
    name = str(item["loc"][0])
    shown = to_flag(name) if {to_flag(name), f"--no{to_flag(name)[1:]}"} & flags else to_variable(name)
    inner = item.get("ctx", {}).get("error")
    wanted = str(inner) if isinstance(inner, ValueError) else f"wanted {_describe_allowed(name, kind)}"
    return f"{shown}: {wanted}" if name in SECRET_SETTINGS else f"{shown}: got {item['input']!r}, {wanted}"


def _describe_allowed(name: str, kind: type[Settings]) -> str:
    """Describe in words which values a setting allows."""
    schema: dict[str, Any] = kind.model_json_schema()["properties"][name]
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if schema["type"] not in ("integer", "number"):
        return {"boolean": "true or false", "string": "text"}[schema["type"]]
    number = {"integer": "an integer", "number": "a number"}[schema["type"]]
    if "exclusiveMinimum" in schema:
        return f"{number} above {schema['exclusiveMinimum']:g}"
    if "maximum" in schema:
        return f"{number} from {schema['minimum']:g} to {schema['maximum']:g}"
    return f"{number} of at least {schema['minimum']:g}"


def _explain_flags(problem: str, kind: type[Settings]) -> str:
    """Explain argparse's error about a command line. For an unknown flag, suggest a similar one."""
    said = problem.removeprefix("error parsing CLI: ")
    unknown = said.removeprefix("unrecognized arguments: ").partition(" ")[0].partition("=")[0]
    known = {to_flag(name) for name in kind.model_fields}
    extension = find_extension()
    if extension and unknown in {to_flag(name) for name in extension.settings_type.model_fields} - known:
        return f"mhc-scope serve: {unknown} is a setting of --service; --service --help lists all flags"
    hint = _suggest_name(unknown, known) if unknown.startswith("--") else ""
    return f"mhc-scope serve: {said}{hint}; --help lists all flags"


def _suggest_name(name: str, known: set[str]) -> str:
    """Return a question with the most similar known flag or variable; "" if none is similar."""
    bare = {each.removeprefix(PREFIX): each for each in known}
    near = difflib.get_close_matches(name.removeprefix(PREFIX), bare, 1, cutoff=0.7)
    return f"; did you mean {bare[near[0]]}?" if near else ""
