"""Sockets that the listener accepts."""

import asyncio
import socket

import pytest

from mhc_scope.edge.listener import ListeningSocket, bind
from tests.apart import run_loop

pytestmark = pytest.mark.full


class Seen(asyncio.Protocol):
    """Says how its socket is set."""

    def __init__(self, told: "asyncio.Future[int]") -> None:
        self._told = told

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Looked at while it is open."""
        found: socket.socket = transport.get_extra_info("socket")
        self._told.set_result(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def test_no_part_of_an_answer_waits_for_the_other_side() -> None:
    """Without the option, the body of each small answer comes 40 ms after its head (Nagle's algorithm)."""

    async def ask() -> int:
        loop = asyncio.get_running_loop()
        told: asyncio.Future[int] = loop.create_future()
        listener = ListeningSocket(loop, bind("127.0.0.1", 0)[0], lambda: Seen(told))
        _, writer = await asyncio.open_connection(*listener.endpoint)
        try:
            async with asyncio.timeout(10):
                return await told
        finally:
            writer.close()
            listener.close()

    assert run_loop(ask()) != 0
