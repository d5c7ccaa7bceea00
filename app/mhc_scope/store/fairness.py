"""Order the queue: first the client that has used the least recently, then the age of its runs. No SQL."""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HALF_LIFE_S = 600.0  # after this time, what a client has used counts half
OWN = ""  # the server's own runs, which have priority


@dataclass(frozen=True)
class WaitingRun:
    """A run that waits; `seconds` is its predicted time."""

    id: str
    client: str
    seconds: float


def decay(seconds: float, age_s: float) -> float:
    """Return how much of a client's used seconds still counts after `age_s`; never more than was used."""
    return seconds * 0.5 ** (max(0.0, age_s) / HALF_LIFE_S)


def order_fairly(waiting: Iterable[WaitingRun], used: Mapping[str, float]) -> list[str]:
    """Return the ids of waiting runs in the order in which they should begin; `waiting` has the oldest first.

    The order is simulated: a run that begins is immediately counted as used by its client. Among clients that have used
    the same, the oldest run comes first.
    """
    of_client: defaultdict[str, deque[tuple[int, WaitingRun]]] = defaultdict(deque)
    for age, run in enumerate(waiting):
        of_client[run.client].append((age, run))
    heap = [(_find_weight(used, client), runs[0][0], client) for client, runs in of_client.items()]
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


def _find_weight(used: Mapping[str, float], client: str) -> float:
    return 0.0 if client == OWN else used.get(client, 0.0)
