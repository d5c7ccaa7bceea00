"""Events are the same however the stream is cut into chunks."""

from hypothesis import given
from hypothesis import strategies as st

from mhc_probe.client.events import Event, EventReader

STREAM = (
    b"retry: 1500\n\n: heartbeat\n\n"
    b'event: status\ndata: {"position": 1}\n\n'
    b'id: 0\nevent: start\ndata: {"text": "a\xe2\x80\xa8b: c"}\n\n'
    b"id: 1\nevent: end\ndata: {}\n\n"
)
EVENTS = [
    Event("status", b'{"position": 1}', None),
    Event("start", b'{"text": "a\xe2\x80\xa8b: c"}', "0"),
    Event("end", b"{}", "1"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12).map(sorted))
def test_any_cut_gives_the_same_events(cuts: list[int]) -> None:
    reader = EventReader()
    ends = [*cuts, len(STREAM)]
    chunks = [STREAM[start:end] for start, end in zip([0, *cuts], ends, strict=True)]
    assert [event for chunk in chunks for event in reader.feed(chunk)] == EVENTS
    assert reader.retry_s == 1.5


def test_an_event_that_is_not_whole_is_kept_back() -> None:
    reader = EventReader()
    assert reader.feed(b"id: 3\ndata: {}\n") == []
    assert reader.feed(b"\n") == [Event("message", b"{}", "3")]
