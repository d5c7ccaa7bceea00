"""Run the command `serve`: the page and the API, until a signal. The settings parse its flags."""

import logging
import os
import signal
import sys
from collections.abc import Sequence

from mhc_scope import logs
from mhc_scope.commands.configuration import InvalidSettings, find_unknown_variables, load_settings

log = logging.getLogger("mhc.settings")


def serve(arguments: Sequence[str]) -> int:
    """Run the server until a signal stops the process; return the exit code."""
    try:
        settings = load_settings(arguments)
    except InvalidSettings as error:
        print(error, file=sys.stderr)
        return 2

    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a client that disconnects must not end the server
    os.umask(0o077)  # only this user may read the database and its folder
    from mhc_scope.engine.registry import prepare_engine

    prepare_engine(settings)

    from mhc_scope.edge.memory import use_one_heap

    use_one_heap()

    # Imported late: with torch they take a second or two, and errors in the arguments should be reported before.
    from mhc_scope.edge.server import Server
    from mhc_scope.engine.registry import UnknownEngine
    from mhc_scope.extension import MissingExtension
    from mhc_scope.files import MissingAsset
    from mhc_scope.main import create_app
    from mhc_scope.spans import NoTelemetry
    from mhc_scope.store.errors import UnusableDatabase

    try:
        app = create_app(settings)
    # OSError: the data folder cannot be created.
    except (MissingAsset, MissingExtension, NoTelemetry, UnknownEngine, UnusableDatabase, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    logs.configure(settings.log_format)
    for sentence in find_unknown_variables(settings):
        log.warning(sentence)
    server = Server(app, settings)
    server.run()
    return 0 if server.started else 1
