"""Layers below the first edit are computed once, for the run and for its base: no frame depends on it."""

from typing import Any

import pytest

from mhc_core.measure import passes
from mhc_core.measure.run import run
from mhc_core.record import codec
from mhc_core.stack import LayerOutput, Stack
from tests.core.conftest import build_spec

DEPTH, LAYER = 6, 4
CUT = {"layers": (LAYER, LAYER), "what": "stream", "index": 1, "do": "zero"}
# Connection and edits, and how many layers are shared.
CASES: dict[str, tuple[dict[str, Any], list[dict[str, Any]], int]] = {
    "static": ({"kind": "mhc"}, [CUT], LAYER),
    "dynamic": ({"kind": "mhc", "dynamic": True}, [CUT], LAYER),
    "two edits": ({"kind": "hc"}, [CUT, {**CUT, "layers": (2, 3)}], 2),
    "restored": ({"kind": "hc"}, [{**CUT, "layers": (1, 1)}, {**CUT, "do": "restore"}], 1),
    "source": ({"kind": "denseformer"}, [{**CUT, "what": "source"}], LAYER - 1),
    "first layer": ({"kind": "mhc"}, [{**CUT, "layers": (0, 0)}], 0),
}


@pytest.mark.parametrize("is_recomputed", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("case", CASES)
def test_frames_are_those_of_two_separate_passes(
    case: str, is_recomputed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, edits, shared = CASES[case]
    small = {"depth": DEPTH, "width": 8, "block": {"heads": 2}, "input": {"tokens": 8}}
    spec = build_spec(small, connection=connection, edits=edits)
    monkeypatch.setattr(passes, "recomputes", lambda spec: is_recomputed)
    computed: list[int] = []
    compute = Stack.layer

    def count(stack: Stack, layer: int, *rest: Any) -> LayerOutput:
        computed.append(layer)
        return compute(stack, layer, *rest)

    monkeypatch.setattr(Stack, "layer", count)

    def encode() -> list[bytes]:
        computed.clear()
        return [codec.encode_frame(frame, "run", index) for index, frame in enumerate(run(spec))]

    found = encode()
    passed = len(computed)
    monkeypatch.setattr(passes, "find_first_edit", lambda spec: 0)
    assert found == encode()
    assert len(computed) - passed == shared
