"""The short form of the state machine: it finds its servers, breaks them, and finds no law broken."""

import pytest

from tests.endurance.machine import run_sequences
from tests.endurance.play.expected import compute_lines, explain_log
from tests.endurance.play.sites import Store
from tests.endurance.play.viewers import Viewer, read_events
from tests.service.postgresql import find_programs

SPEC = '{"depth": 2, "width": 16, "input": {"tokens": 16}}'
SHORT_S, PART = 60.0, 5  # on a slow machine the second part is left out


@pytest.mark.trial
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_sequences_of_requests_and_faults_break_no_law(store: Store) -> None:
    if store == "postgresql" and find_programs() is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    rows = run_sequences(store, 10, SHORT_S, part=PART)
    assert [row.measure for row in rows if row.limit == 0 and not row.is_met] == []


def test_a_log_with_a_gap_another_frame_or_two_ends_is_seen() -> None:
    lines = list(compute_lines(SPEC))
    end = b'{"run":"x","index":%d,"type":"end","status":"done"}\n' % len(lines)
    assert explain_log([*lines, end], SPEC) is None
    for wrong in ([*lines], [*lines[1:], end], [*lines[:-1], end], [*lines, end, end], [*lines[:2], lines[1], end]):
        assert explain_log(wrong, SPEC) is not None


def test_a_stream_with_a_gap_a_repeat_or_a_frame_behind_the_end_is_seen() -> None:
    def watch(*frames: tuple[int, str]) -> Viewer:
        viewer = Viewer("x", "owner", 0)
        for index, kind in frames:
            text = f'id: {index}\nevent: {kind}\ndata: {{"run":"x","index":{index},"type":"{kind}"}}\n'
            for event in read_events(iter([*text.splitlines(), ": heartbeat", ""])):
                viewer.add(event)
        return viewer

    assert watch((0, "start"), (1, "end")).wrong is None
    assert watch((0, "start"), (1, "end")).has_ended
    for frames in ([(1, "start")], [(0, "start"), (0, "start")], [(0, "start"), (1, "end"), (2, "loss")]):
        assert watch(*frames).wrong is not None
