"""Who comes next: the client that has used the least lately, and of its runs the oldest. No SQL."""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HALF_LIFE_S = 600.0  # in which what a client has used counts half
OWN = ""  # the server's own runs, which come first


@dataclass(frozen=True)
class WaitingRun:
    """A run that waits; `seconds` is what it is predicted to take."""

    id: str
    client: str
    seconds: float


def decay(seconds: float, age_s: float) -> float:
    """What is left of a use after `age_s`; a clock that was set back makes nothing grow."""
    return seconds * 0.5 ** (max(0.0, age_s) / HALF_LIFE_S)


def order_fairly(waiting: Iterable[WaitingRun], used: Mapping[str, float]) -> list[str]:
    """Ids in the order in which they shall begin; `waiting` has the oldest first.

    It plays the round through: a run that begins is counted at once as used by its client. Among clients that have
    used the same, the oldest run comes first.
    """
    of_client: defaultdict[str, deque[tuple[int, WaitingRun]]] = defaultdict(deque)
    for age, run in enumerate(waiting):
        of_client[run.client].append((age, run))
    heap = [(_weigh(used, client), runs[0][0], client) for client, runs in of_client.items()]
    heapq.heapify(heap)
    order = []
    while heap:
        weight, _, client = heapq.heappop(heap)
        _, run = of_client[client].popleft()
        order.append(run.id)
        if of_client[client]:
            seconds = 0.0 if client == OWN else run.seconds
            heapq.heappush(heap, (weight + seconds, of_client[client][0][0], client))
    return order


def _weigh(used: Mapping[str, float], client: str) -> float:
    return 0.0 if client == OWN else used.get(client, 0.0)
