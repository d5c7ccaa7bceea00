"""Read the settings of a command, and say in one line each what is wrong with them."""

import difflib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from mhc_scope.settings import Settings

PREFIX = "MHC_"
# Variables of clients, which may be set where a server starts.
OF_CLIENTS = {"MHC_SCOPE_URL", "MHC_SCOPE_TOKEN"}
# A URL may hold a password.
SECRET = {"database_url"}


class InvalidSettings(Exception):
    """Variables or flags that are not valid; one line each, with its name, what was received and what is allowed."""


def load_settings(arguments: Sequence[str] | None = None, **flags: Any) -> Settings:
    """The settings from the variables of the environment and the flags of a command.

    Parameters
    ----------
    arguments: the command line of `serve`, whose flags are the settings.
    flags: of other commands, already parsed; None means that the flag is not given.

    Raises
    ------
    InvalidSettings
        Where a variable or a flag is not valid.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        if arguments is None:
            return Settings(**given)
        return Settings(_cli_parse_args=list(arguments), _cli_prog_name="mhc-scope serve", _cli_exit_on_error=False)
    except SettingsError as error:
        raise InvalidSettings(_explain_flags(str(error))) from None
    except ValidationError as error:
        named = {to_flag(name) for name in given} | {word.partition("=")[0] for word in arguments or ()}
        raise InvalidSettings("\n".join(_explain(item, named) for item in error.errors(include_url=False))) from None


def find_unknown_variables() -> Iterator[str]:
    """A sentence for each `MHC_*` variable of the environment that no setting has.

    They are reported and do not stop a server: containers inherit variables that nobody set for it (Kubernetes adds
    some for each service), and an older release must start with the variables of a newer one.
    """
    known = {to_variable(name) for name in Settings.model_fields} | OF_CLIENTS
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            yield f"the variable {name} is ignored: there is no such setting{_suggest(name.upper(), known)}"


def print_unknown_variables() -> None:
    """Write them to standard error."""
    for sentence in find_unknown_variables():
        print(f"warning: {sentence}", file=sys.stderr)


def to_flag(name: str) -> str:
    """The flag of a setting."""
    return f"--{name.replace('_', '-')}"


def to_variable(name: str) -> str:
    """The variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def _explain(item: Any, flags: set[str]) -> str:
    if not item["loc"]:  # of several settings together
        return str(item["ctx"]["error"])
    name = str(item["loc"][0])
    shown = to_flag(name) if {to_flag(name), f"--no{to_flag(name)[1:]}"} & flags else to_variable(name)
    inner = item.get("ctx", {}).get("error")
    wanted = str(inner) if isinstance(inner, ValueError) else f"wanted {_describe_allowed(name)}"
    return f"{shown}: {wanted}" if name in SECRET else f"{shown}: got {item['input']!r}, {wanted}"


def _describe_allowed(name: str) -> str:
    schema: dict[str, Any] = Settings.model_json_schema()["properties"][name]
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if schema["type"] not in ("integer", "number"):
        return {"boolean": "true or false", "string": "text"}[schema["type"]]
    kind = {"integer": "an integer", "number": "a number"}[schema["type"]]
    if "exclusiveMinimum" in schema:
        return f"{kind} above {schema['exclusiveMinimum']:g}"
    if "maximum" in schema:
        return f"{kind} from {schema['minimum']:g} to {schema['maximum']:g}"
    return f"{kind} of at least {schema['minimum']:g}"


def _explain_flags(problem: str) -> str:
    """What argparse says of a command line, with the flag that an unknown one resembles."""
    said = problem.removeprefix("error parsing CLI: ")
    unknown = said.removeprefix("unrecognized arguments: ").partition(" ")[0].partition("=")[0]
    known = {to_flag(name) for name in Settings.model_fields}
    hint = _suggest(unknown, known) if unknown.startswith("--") else ""
    return f"mhc-scope serve: {said}{hint}; --help lists all flags"


def _suggest(name: str, known: set[str]) -> str:
    bare = {each.removeprefix(PREFIX): each for each in known}
    near = difflib.get_close_matches(name.removeprefix(PREFIX), bare, 1, cutoff=0.7)
    return f"; did you mean {bare[near[0]]}?" if near else ""
