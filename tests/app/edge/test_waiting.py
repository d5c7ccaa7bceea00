"""Who gives way where there is no room for one more connection."""

from dataclasses import dataclass
from typing import cast

import pytest

from mhc_scope.edge.protocol import EdgeProtocol
from mhc_scope.edge.waiting import WaitingConnections

pytestmark = pytest.mark.full


@dataclass(eq=False)
class Connection:
    """What is asked of a protocol."""

    block: str | None
    is_sending: bool = False


def build(waiting: WaitingConnections, *blocks: str | None) -> list[EdgeProtocol]:
    """Connections of these addresses, which have waited since 0, 1, 2 and so on."""
    found = [cast(EdgeProtocol, Connection(block)) for block in blocks]
    for now, protocol in enumerate(found):
        waiting.begin(protocol, now)
    return found


def test_the_longest_waiting_of_the_address_that_has_most() -> None:
    waiting = WaitingConnections()
    _, first, second, third = build(waiting, "lone", "many", "many", "many")
    newcomer = first
    assert waiting.choose(newcomer) is second
    waiting.end(second)
    assert waiting.choose(third) is first


def test_connections_of_a_proxy_stand_for_themselves() -> None:
    waiting = WaitingConnections()
    first, _, _, many, _ = build(waiting, None, None, None, "many", "many")
    assert waiting.choose(first) is many
    waiting.end(many)
    assert waiting.choose(many) is first


def test_one_who_takes_an_answer_does_not_give_way() -> None:
    waiting = WaitingConnections()
    taking, other = build(waiting, "a", "a")
    taking.is_sending = True  # type: ignore[misc]
    assert waiting.choose(taking) is other
    assert waiting.choose(other) is None


def test_it_knows_since_when_one_waits() -> None:
    waiting = WaitingConnections()
    first, second = build(waiting, "a", "a")
    waiting.begin(first, 7.0)
    assert (waiting.since(first), waiting.since(second)) == (7.0, 1)
    waiting.end(first)
    waiting.end(first)
    assert (first in waiting, waiting.since(first), second in waiting) == (False, None, True)
    assert waiting.choose(first) is second
