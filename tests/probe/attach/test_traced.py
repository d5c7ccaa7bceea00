"""The trace that other tests read from a file is what the probe records today."""

import numpy as np
import pytest

from mhc_core.record.codec import decode_line, encode_frame
from mhc_core.record.start import StartFrame
from mhc_probe import attach
from tests.probe.attach.attachable import backward, build_deepseek
from tests.traced import LAYERS, NAME, STREAMS, read_trace

pytestmark = pytest.mark.full


def test_the_stored_trace_is_that_of_the_probe() -> None:
    model, stored = build_deepseek(), read_trace().result
    with attach(model) as probe:
        backward(model)
    # As a server reads it.
    frames = [decode_line(encode_frame(frame, "", index)) for index, frame in enumerate(probe.frames())]
    assert [frame.type for frame in frames] == [frame.type for frame in stored.frames]
    start, kept = frames[0], stored.frames[0]
    assert isinstance(start, StartFrame)
    assert isinstance(kept, StartFrame)
    assert start.source is not None
    assert kept.source is not None
    for name in ("layers", "streams", "blocks", "input"):
        assert getattr(start, name) == getattr(kept, name)
    result = probe.result()
    assert (kept.layers, kept.streams, kept.source.model.name) == (LAYERS, STREAMS, NAME)
    for found, wanted in ((result.layers, stored.layers), (result.matrices, stored.matrices)):
        assert found.keys() == wanted.keys()
        for name, values in wanted.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
    assert [finding.text for finding in result.summary.findings] == [item.text for item in stored.summary.findings]
