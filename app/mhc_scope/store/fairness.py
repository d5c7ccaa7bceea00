"""Order the queue: by the computing time that clients have used recently, then by the age of runs. No SQL."""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HALF_LIFE_S = 600.0  # time after which used seconds count half
OWN = ""  # the server's own runs, which have priority


@dataclass(frozen=True)
class WaitingRun:
    """A waiting run; `seconds` is its predicted time."""

    id: str
    client: str
    seconds: float


def decay(seconds: float, age_s: float) -> float:
    """Return the part of a client's used seconds that still counts after `age_s`; a negative age counts as 0."""
    return seconds * 0.5 ** (max(0.0, age_s) / HALF_LIFE_S)


def order_fairly(waiting: Iterable[WaitingRun], used: Mapping[str, float]) -> list[str]:
    """Return the ids of waiting runs in the order in which they should begin. `waiting` is sorted, the oldest first.

    The next run is always one of the client with the fewest used seconds, and its predicted time is then added to
    them. Among clients with equal seconds, the oldest run comes first.
    """
    of_client: defaultdict[str, deque[tuple[int, WaitingRun]]] = defaultdict(deque)
    for age, run in enumerate(waiting):
        of_client[run.client].append((age, run))
    weights = {**used, OWN: 0.0}
    heap = [(weights.get(client, 0.0), runs[0][0], client) for client, runs in of_client.items()]
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
