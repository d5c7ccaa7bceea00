"""Sequences of requests and faults in any order, found by Hypothesis, on real servers.

`python -m tests.endurance machine --store sqlite|postgresql [--sequences 500]`. On SQLite one server, on PostgreSQL
two. The servers stay up from one sequence to the next; a sequence that fails is made shorter by Hypothesis.
"""

import argparse
import itertools
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from benchmarks.rows import Row
from tests.conftest import Server
from tests.endurance.play.session import OWNER, STRANGER, Session, Spec, read_log
from tests.endurance.play.sites import Site, Store, kill_worker, open_site
from tests.endurance.play.viewers import Viewer

LEASE_S = 6.0  # outlives the longest lock
STEPS, WORKERS = 8, 2
PART = 10  # sequences that have a seed: one that breaks a law ends its part
MAX_KILLS = 2  # a worker that is lost before it is ready is started again later and later
FLAGS = ("--workers", str(WORKERS), "HEARTBEAT_S=1", "--lease-s", f"{LEASE_S:g}")

places = st.integers(0, 1)
_seeds = itertools.count(int(time.time()) % 2**30)  # no run of an earlier sequence is known


@st.composite
def draw_shapes(draw: st.DrawFn) -> Spec:
    """A tiny spec without its seed; some train for a while, so that faults meet them under way."""
    connection = {"kind": draw(st.sampled_from(["residual", "hc", "mhc"]))}
    shape: Spec = {"depth": draw(st.integers(2, 12)), "width": 16, "input": {"tokens": 16}, "connection": connection}
    steps = draw(st.sampled_from([0, 0, 10, 40]))
    return shape | ({"train": {"steps": steps}} if steps else {})


class Machine(RuleBasedStateMachine):
    """Rules pick a server by its place among those that are up. `site`, `tally` and `finished` are of the trial."""

    site: Site
    tally: Counter[str]
    finished: dict[str, list[bytes]]

    runs: Bundle[str] = Bundle("runs")
    viewers: Bundle[Viewer] = Bundle("viewers")

    def __init__(self) -> None:
        super().__init__()
        if self.tally["broken"]:  # what an earlier sequence left must not be this one's
            self.site.renew()
        self.tally["broken"] = 1
        self.session = Session(self.site, WORKERS, self.tally, self.finished)
        self.restarts = self.kills = self.locks = 0
        self.started = time.monotonic()
        self.tally["sequences"] += 1

    def pick(self, place: int) -> Server:
        """A server that is up."""
        return self.site.up[place % len(self.site.up)]

    @initialize(target=runs, shape=draw_shapes(), place=places)
    def begin(self, shape: Spec, place: int) -> Any:
        """A run that the other rules can do something with."""
        return self.submit_new(shape, place)

    @rule(target=runs, shape=draw_shapes(), place=places)
    def submit(self, shape: Spec, place: int) -> Any:
        """Post a new spec."""
        return self.submit_new(shape, place)

    def submit_new(self, shape: Spec, place: int) -> Any:
        """Post a spec with a seed of its own."""
        return multiple(*self.session.submit(self.pick(place), [shape | {"seed": next(_seeds)}]))

    @rule(target=runs, shapes=st.lists(draw_shapes(), min_size=3, max_size=3, unique_by=repr), place=places)
    def compare(self, shapes: list[Spec], place: int) -> Any:
        """Post three new specs together."""
        seed = next(_seeds)
        return multiple(*self.session.submit(self.pick(place), [shape | {"seed": seed} for shape in shapes]))

    @rule(run_id=runs, place=places)
    def submit_again(self, run_id: str, place: int) -> None:
        """Post a spec that was posted before."""
        self.session.submit_again(self.pick(place), run_id)

    @rule(target=viewers, run_id=runs, place=places)
    def watch_as_owner(self, run_id: str, place: int) -> Viewer:
        """Open a stream."""
        return self.session.watch(self.pick(place), run_id, OWNER)

    @rule(target=viewers, run_id=runs, place=places)
    def watch_as_stranger(self, run_id: str, place: int) -> Viewer:
        """Open a stream that holds up the owner's DELETE."""
        return self.session.watch(self.pick(place), run_id, STRANGER)

    @rule(viewer=viewers)
    def cut(self, viewer: Viewer) -> None:
        """Break a stream's connection."""
        self.tally["cuts"] += viewer.is_open
        viewer.cut()

    @rule(viewer=viewers, place=places)
    def resume(self, viewer: Viewer, place: int) -> None:
        """Come back with the last id."""
        if not viewer.is_open and not viewer.is_over:
            viewer.open(self.pick(place))

    @rule(run_id=runs, place=places, name=st.sampled_from([OWNER, STRANGER]))
    def cancel(self, run_id: str, place: int, name: str) -> None:
        """Send a DELETE."""
        self.session.cancel(self.pick(place), run_id, name)

    @precondition(lambda self: self.kills < MAX_KILLS)
    @rule(place=places, which=places)
    def kill_a_worker(self, place: int, which: int) -> None:
        """SIGKILL a worker."""
        self.kills += 1
        pid = kill_worker(self.pick(place), which)
        if pid is not None:
            self.tally["workers killed"] += 1
            self.session.killed.append(pid)
            self.session.note_loss()

    @precondition(lambda self: not self.locks)
    @rule(seconds=st.sampled_from([0.3, 1.0, 2.0]))
    def lock(self, seconds: float) -> None:
        """Lock the database from outside, beside what comes next."""
        self.locks += 1
        self.tally["locks"] += 1
        self.session.hold_database(seconds)

    @precondition(lambda self: not self.restarts)
    @rule(place=places, number=st.sampled_from([signal.SIGKILL, signal.SIGTERM]))
    def restart(self, place: int, number: signal.Signals) -> None:
        """End a server and start it again on the same data."""
        place = self._end(place, number)
        if self.site.servers[place] is None:
            self.site.start(place)

    @precondition(lambda self: not self.restarts and len(self.site.up) > 1)
    @rule(place=places, number=st.sampled_from([signal.SIGKILL, signal.SIGTERM]))
    def lose_one(self, place: int, number: signal.Signals) -> None:
        """End one of two servers; the other goes on alone."""
        self._end(place, number)

    @invariant()
    def streams_are_whole(self) -> None:
        """No stream has had a gap, a repeat or anything behind its end."""
        assert not [viewer.wrong for viewer in self.session.viewers if viewer.wrong]

    @invariant()
    def finished_runs_stay(self) -> None:
        """The log of a run that was done, of this sequence or an earlier one, is what it was."""
        if self.finished and not self.session.is_locked:
            run_id = next(reversed(self.finished))
            assert read_log(self.pick(0), run_id) == self.finished[run_id]

    def teardown(self) -> None:
        """Let everything come to its end, and look at all of it; not where a rule has failed."""
        failure = sys.exc_info()[1]
        if not isinstance(failure, Exception):  # Hypothesis ends sequences by an exception of another kind
            failure = None
            try:
                self.session.settle()
                self.tally["broken"] = 0
            except AssertionError as error:
                failure = error
                raise
            finally:
                self._report(failure)
        else:
            self._report(failure)

    def _report(self, failure: BaseException | None) -> None:
        took, number = time.monotonic() - self.started, self.tally["sequences"]
        print(f"sequence {number}: {took:.1f} s, {failure or 'well'}", file=sys.stderr, flush=True)

    def _end(self, place: int, number: signal.Signals) -> int:
        """End a server; its place."""
        place = place % len(self.site.servers)
        self.restarts += 1
        self.tally[f"servers ended by {number.name}"] += 1
        if number == signal.SIGKILL:
            self.session.note_ghosts(self.site.servers[place], LEASE_S)
        self.site.end(place, number)
        return place


def run(arguments: Sequence[str]) -> list[Row]:
    """The trial."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance machine", description=__doc__)
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--sequences", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=7200, help="no part begins later than this")
    parser.add_argument("--seed", type=int, default=0, help="another seed finds other sequences")
    options = parser.parse_args(arguments)
    return run_sequences(options.store, options.sequences, options.seconds, options.seed)


def run_sequences(store: Store, sequences: int, seconds: float, seed: int = 0, part: int = PART) -> list[Row]:
    """Play so many sequences, in parts with a seed each; rows of what was done and what was wrong."""
    tally, failures, started = Counter[str](), 0, time.monotonic()
    with open_site(store, *FLAGS) as site:
        finished: dict[str, list[bytes]] = {}
        for first in range(0, sequences, part):
            if time.monotonic() < started + seconds:
                machine = type("Trial", (Machine,), {"site": site, "tally": tally, "finished": finished})
                failures += not play(hypothesis.seed(seed + first)(machine), min(part, sequences - first))
        lost = count_lost(site, finished)
        broken = site.database.check()
        left = site.close()
    return to_rows(store, tally, failures, lost, len(broken), len(left), time.monotonic() - started)


def play(machine: type[Machine], sequences: int) -> bool:
    """Play sequences until one breaks a law; whether none did."""
    try:
        run_state_machine_as_test(machine, settings=to_settings(sequences))
    except Exception:  # of any invariant, with the shortest sequence that Hypothesis has found
        traceback.print_exc()
        return False
    return True


def to_settings(sequences: int) -> hypothesis.settings:
    """Hypothesis's settings: its time limits are for functions, not for servers."""
    return hypothesis.settings(
        max_examples=sequences,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )


def count_lost(site: Site, finished: dict[str, list[bytes]]) -> int:
    """Runs that were done once, and are not shown as they were."""
    site.start_all()
    return sum(read_log(site.up[0], run_id) != log for run_id, log in finished.items())


def to_rows(
    store: str, tally: Counter[str], failures: int, lost: int, broken: int, left: int, seconds: float
) -> list[Row]:
    """The table."""
    done = f"{tally['submitted']} specs posted: {tally['done']} done, {tally['cancelled']} cancelled, {tally['failed']}"
    killed, stopped = tally["servers ended by SIGKILL"], tally["servers ended by SIGTERM"]
    faults = f"{tally['workers killed']} workers and {killed} servers killed, {stopped} servers stopped"
    return [
        Row(f"sequences that broke a law, {store}", f"{tally['sequences']} sequences", failures, "", 0),
        Row("finished runs that are lost", f"{done} failed with their reason", lost, "", 0),
        Row("processes that outlive their servers", faults, left, "", 0),
        Row("complaints of the database's own check", f"{tally['locks']} locks of 0.3 to 2 s", broken, "", 0),
        Row("streams cut or resumed", f"{tally['streams']} streams", tally["cuts"] + tally["resumed"], ""),
        Row("requests refused while locked", "503 with Retry-After", tally["refused while locked"], ""),
        Row(
            "longest until a run ended after a fault",
            "lease + 10 s",
            tally["slowest end, ms"] / 1000,
            "s",
            LEASE_S + 10,
        ),
        Row("a sequence took", f"{seconds:.0f} s in all", seconds / max(1, tally["sequences"]), "s"),
    ]
