"""Define the command `token`, which creates, lists and removes access tokens."""

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import Any

from mhc_scope.commands import data_folder
from mhc_scope.commands.configuration import InvalidSettings
from mhc_service.settings import ServiceSettings

DAY_S = 86_400.0
MAX_NAME = 80


def add_parser(commands: Any) -> None:
    """Add the command `token` and its three actions to the command line."""
    parser = commands.add_parser("token", help="create, list and remove access tokens, also while a server runs")
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="create a token; it is printed once")
    add.add_argument("name", help="name of the person or script that uses it")
    add.add_argument("--rights", choices=("read", "run", "admin"), default="run", help="run (default) includes read")
    add.add_argument("--days", type=float, default=90.0, help="days until it expires, 90 by default; 0 means never")
    listing = actions.add_parser("list", help="list all tokens, without their secrets")
    remove = actions.add_parser("remove", help="remove a token, which is then refused")
    remove.add_argument("id", help="id of the token, as shown by list")
    for action in (add, listing, remove):
        data_folder.add_data(action)
        action.add_argument("--database-url", help="URL of the database, as for serve")
    parser.set_defaults(run=run)


def run(known: argparse.Namespace) -> int:
    """Add, list or remove tokens in one transaction; return the exit code."""
    if known.action == "add" and (mistake := _find_mistake(known)):
        print(mistake, file=sys.stderr)
        return 2
    from mhc_scope.store.schema import UnusableDatabase
    from mhc_scope.store.transaction import open_transaction
    from mhc_service.queue.store import open_database

    try:
        settings = data_folder.to_settings(known, ServiceSettings)
        with open_transaction(settings.sqlalchemy_url, open_database) as connection:
            return int(ACTIONS[known.action](connection, known))
    except (UnusableDatabase, InvalidSettings, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def _find_mistake(known: argparse.Namespace) -> str | None:
    """Return the mistake in the name or the expiry of a new token; None if both are valid."""
    if not (known.name.isprintable() and 1 <= len(known.name.strip()) <= MAX_NAME):
        return f"name: got {known.name[:MAX_NAME]!r}, wanted 1 to {MAX_NAME} printable characters"
    if not 0 <= known.days <= 36_500:
        return f"--days: got {known.days:g}, wanted 0 to 36500"
    return None


def _add_token(connection: Any, known: argparse.Namespace) -> int:
    """Create a token, and print its text to the standard output and its expiry to the standard error. Return 0."""
    from mhc_service.tokens import add_token

    expires_at = time.time() + known.days * DAY_S if known.days else None
    token, text = add_token(connection, known.name.strip(), known.rights, expires_at)
    print(text)
    print(
        f"Token {token.id} of {token.name!r} may {token.rights}, {_to_end(expires_at)}. It is not shown again: send it "
        "as `Authorization: Bearer TOKEN`.",
        file=sys.stderr,
    )
    return 0


def _list_tokens(connection: Any, known: argparse.Namespace) -> int:
    """Print a table of the tokens; return 0."""
    from mhc_service.tokens import list_tokens

    row = "{:18}{:7}{:28}{}"
    print(row.format("id", "rights", "holds", "name"))
    for token in list_tokens(connection):
        print(row.format(token.id, token.rights, _to_end(token.expires_at), token.name))
    return 0


def _remove_token(connection: Any, known: argparse.Namespace) -> int:
    """Remove the token with an id. Return 0, or 2 if there is none."""
    from mhc_service.tokens import remove_token

    if remove_token(connection, known.id):
        print(f"Token {known.id} is refused from now on.")
        return 0
    print(f"id: got {known.id!r}, wanted that of a token, as `mhc-scope token list` shows it", file=sys.stderr)
    return 2


def _to_end(expires_at: float | None) -> str:
    """Return in words until when a token is valid."""
    if expires_at is None:
        return "until it is removed"
    ended = "expired" if expires_at <= time.time() else "until"
    return f"{ended} {datetime.fromtimestamp(expires_at, UTC):%Y-%m-%d %H:%M} UTC"


ACTIONS = {"add": _add_token, "list": _list_tokens, "remove": _remove_token}
