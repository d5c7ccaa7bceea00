"""Run uvicorn with limits on connections, and with a private port."""

import asyncio
import logging
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE

from mhc_scope import limits
from mhc_scope.edge.files import FileAnswers
from mhc_scope.edge.gate import Gate
from mhc_scope.edge.limits import ConnectionLimits
from mhc_scope.edge.listener import ListeningSocket, bind
from mhc_scope.edge.memory import freeze_permanent_objects
from mhc_scope.edge.protocol import EdgeProtocol
from mhc_scope.settings import Settings

logger = logging.getLogger(__name__)

# After a SIGTERM, requests may finish; event streams end immediately, by `Server.handle_exit`.
GRACE_S = 5


class Server(uvicorn.Server):
    """The HTTP server: uvicorn with the listeners, protocol and limits of this folder."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        self._app, self._settings = app, settings
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=EdgeProtocol,
            ws="none",
            timeout_keep_alive=limits.IDLE_S,
            timeout_graceful_shutdown=GRACE_S,
            proxy_headers=False,  # the app has its own middleware for them
            access_log=False,
            server_header=False,
            log_config=None,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, then listen on all endpoints of the settings.

        This replaces uvicorn's method, whose listeners would use all processor time if descriptors run out.
        """
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        try:
            found = [bind(host, port) for host, port in self._settings.endpoints]
        except OSError as error:
            logger.error("cannot listen: %s", error)
            await self.lifespan.shutdown()
            sys.exit(STARTUP_FAILURE)
        freeze_permanent_objects()
        settings = self._settings
        state = self._app.state
        files = FileAnswers(state.assets, settings.root, settings.host_names, state.count_file)
        self._gate = Gate(
            self._app, ConnectionLimits.build(settings), settings.forwarded_allow_ips, settings.root, files
        )
        loop = asyncio.get_running_loop()
        self._gate.start(loop)
        self.servers = [ListeningSocket(loop, sock, self._build_protocol) for socks in found for sock in socks]  # type: ignore[misc]
        for listener in self.servers:
            host, port = listener.endpoint  # type: ignore[attr-defined]
            logger.info("serving on http://%s:%d", f"[{host}]" if ":" in host else host, port)
        self.started = True

    def _build_protocol(self) -> EdgeProtocol:
        """Build the protocol of a new connection, which enforces the limits of the gate."""
        return EdgeProtocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state, gate=self._gate
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections, including those of slow clients, and stop the app."""
        await super().shutdown(sockets)
        self._gate.stop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal: also end open event streams, which would keep the server running."""
        super().handle_exit(sig, frame)
        asyncio.get_running_loop().call_soon_threadsafe(self._app.state.begin_stop)
