"""Kills under load: of workers, servers, and of what a cluster stands on; and stops by signal with streams open."""

import argparse
import contextlib
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from tests.contract.engine.ray_cluster import RayCluster, find_actors
from tests.endurance.site.kinds import CPUS, Place, open_cluster, open_sqlite
from tests.endurance.site.ledger import Ledger, find_damage, find_live
from tests.endurance.site.load import under_load
from tests.endurance.site.servers import mark, wait_until_gone
from tests.service.test_ray_cluster import list_children

CLIENTS = 4
TRIES, FIND_S, WORK_S, REST_S = 5, 280.0, 30.0, (0.0, 1.0)
SITES: dict[str, Callable[..., AbstractContextManager[Place]]] = {"sqlite": open_sqlite, "cluster": open_cluster}


@dataclass
class Done:
    """What was killed so often, and the longest times that followed."""

    kills: dict[str, int] = field(default_factory=dict)
    ready_s: list[float] = field(default_factory=list)
    stop_s: list[float] = field(default_factory=list)


def run(arguments: Sequence[str]) -> list[Row]:
    """All kills on each site."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance kills", description=__doc__)
    parser.add_argument("--site", choices=(*SITES, "both"), default="both")
    parser.add_argument("--workers", type=int, default=50, help="workers to kill")
    parser.add_argument("--servers", type=int, default=20, help="servers to kill")
    parser.add_argument("--stops", type=int, default=20, help="servers to stop by SIGTERM")
    parser.add_argument("--raylets", type=int, default=10, help="machines of the cluster to lose")
    parser.add_argument("--bridges", type=int, default=10, help="bridges to the cluster to kill")
    parser.add_argument("--forked", action="store_true", help="fork servers from one that has imported all: quicker")
    given = parser.parse_args(arguments)
    sites = SITES if given.site == "both" else (given.site,)
    return [row for name in sites for row in try_site(name, given)]


def try_site(name: str, counts: argparse.Namespace) -> list[Row]:
    """Kill on one site under load, and judge what is left."""
    marked, ledger, done = mark(), Ledger(), Done()
    with (
        tempfile.TemporaryDirectory(prefix="mhc-kills-") as folder,
        SITES[name](Path(folder), is_forked=counts.forked) as place,
    ):
        with under_load(place.site.urls, CLIENTS, ledger):
            for kill, count in list_kills(place, counts):
                done.kills[kill.__name__.removeprefix("kill_").replace("_", " ")] = count
                for _ in range(count):
                    wait_for_work(ledger)
                    kill(place, done)
        lost = ledger.find_lost(place.site.urls)
        live = find_live(place.database_url)
        place.site.stop()
        damage = find_damage(place.database_url)
        crashes = place.site.list_crashes()
    left = wait_until_gone(marked)
    for sentence in (*ledger.wrong, *lost, *live, *damage, *left.values(), *crashes):
        print(f"{name}: {sentence}")
    return [
        *to_rows(name, ledger, done),
        Row(f"{name}: finished runs lost or changed", f"{len(ledger.told)} told", len(lost), "", 0),
        Row(f"{name}: runs that wait or run afterwards", "the database", len(live), "", 0),
        Row(f"{name}: findings of mhc-scope check", "the database", len(damage), "", 0),
        Row(f"{name}: processes left", "by a mark they inherit", len(left), "", 0),
        Row(f"{name}: tracebacks in logs", "all servers", len(crashes), "", 0),
    ]


def wait_for_work(ledger: Ledger) -> None:
    """Until one more run has ended, so that each kill could lose one, and a moment that is another each time."""
    before, deadline = len(ledger.told), time.monotonic() + WORK_S
    while len(ledger.told) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(random.uniform(*REST_S))


def to_rows(name: str, ledger: Ledger, done: Done) -> list[Row]:
    """What was done, and what viewers saw."""
    killed = ", ".join(f"{count} {what}" for what, count in done.kills.items() if count)
    ends = ", ".join(f"{count} {status or 'without an end'}" for status, count in sorted(ledger.ends.items()))
    rows = [
        Row(f"{name}: kills", killed, sum(done.kills.values()), ""),
        Row(f"{name}: runs followed by {CLIENTS} viewers", ends, len(ledger.told), ""),
        Row(f"{name}: streams cut", "and taken up again", ledger.cuts, ""),
        Row(f"{name}: streams torn, without an end, unclear answers", "each stream", len(ledger.wrong), "", 0),
    ]
    for reason, count in ledger.reasons.most_common():
        rows.append(Row(f"{name}: runs that failed", reason, count, ""))
    if done.ready_s:
        rows.append(Row(f"{name}: from start to ready, longest", f"of {len(done.ready_s)}", max(done.ready_s), "s"))
    if done.stop_s:
        rows.append(Row(f"{name}: from SIGTERM to the end, longest", f"of {len(done.stop_s)}", max(done.stop_s), "s"))
    return rows


Kill = Callable[[Place, Done], None]


def list_kills(place: Place, counts: argparse.Namespace) -> Iterator[tuple[Kill, int]]:
    """What this site can be robbed of, and how often."""
    yield kill_workers, counts.workers
    if place.ray is not None:
        yield kill_bridges, counts.bridges
        yield kill_raylets, counts.raylets
    yield kill_servers, counts.servers
    yield stop_by_sigterm, counts.stops


def kill_workers(place: Place, done: Done) -> None:
    """One of all workers, busy or not."""
    _kill_one(lambda: _list_workers(place))


def kill_bridges(place: Place, done: Done) -> None:
    """The way of one server into the cluster."""
    server = random.choice(place.site.servers)
    _kill_one(lambda: list_children(server.process.pid))


def kill_raylets(place: Place, done: Done) -> None:
    """A machine of the cluster; another one takes its place."""
    assert place.ray is not None
    node = place.ray.nodes.pop(random.randrange(len(place.ray.nodes)))
    os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
    place.ray.nodes.append(_add_node(place.ray))


def _add_node(ray: RayCluster) -> Any:
    """Ray gives a machine 30 s to start, which on a busy one is not always enough."""
    for _ in range(TRIES):
        try:
            return ray.add_node(CPUS)
        except Exception as error:  # Ray has no class for it
            print(f"Ray: {error}", flush=True)
    raise RuntimeError(f"no machine of the cluster started in {TRIES} tries")


def kill_servers(place: Place, done: Done) -> None:
    """One server, as a power cut would; it starts again."""
    number = random.randrange(len(place.site.servers))
    place.site.servers[number].kill()
    done.ready_s.append(place.site.restart(number))


def stop_by_sigterm(place: Place, done: Done) -> None:
    """One server, as an operator would, while viewers watch; it starts again."""
    number = random.randrange(len(place.site.servers))
    done.stop_s.append(place.site.servers[number].terminate())
    done.ready_s.append(place.site.restart(number))


def _list_workers(place: Place) -> list[int]:
    return find_actors() if place.ray else [pid for server in place.site.servers for pid in server.worker_pids()]


def _kill_one(find: Callable[[], list[int]]) -> None:
    """Kill one of what is there, once something is."""
    deadline = time.monotonic() + FIND_S
    while time.monotonic() < deadline:
        with contextlib.suppress(IndexError, ProcessLookupError):  # there is none now, or it has just ended
            os.kill(random.choice(find()), signal.SIGKILL)
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing to kill for {FIND_S:g} s")
