"""The document for notebooks, read as text: every module that it needs, no request, and the frames of its results."""

import base64
import json
import re

from mhc_scope.document import write_document
from tests.core.conftest import CONNECTIONS, build_spec, measure


def read_json(document: str, kind: str) -> dict[str, object]:
    """What a script element of this type holds."""
    (text,) = re.findall(rf'<script type="{kind}"[^>]*>(.*?)</script>', document, re.DOTALL)
    found: dict[str, object] = json.loads(text)
    return found


def test_a_document_carries_its_modules_and_its_results() -> None:
    results = [measure(build_spec(connection=CONNECTIONS[kind])) for kind in ("hc", "mhc")]
    document = write_document(results, "dark", layer=1)
    modules = read_json(document, "importmap")["imports"]
    assert isinstance(modules, dict)
    texts = {name: base64.b64decode(address.partition(",")[2]).decode() for name, address in modules.items()}
    needed = {name for text in texts.values() for name in re.findall(r"\bfrom '([^']+)'", text)}
    assert needed | {"mhc-scope/widget.js"} == set(texts)
    assert "import 'mhc-scope/widget.js'" in document
    assert "default-src 'none'" in document
    given = read_json(document, "application/json")
    assert (given["layer"], given["labels"]) == (1, ["A HC", "B mHC"])
    runs = given["runs"]
    assert isinstance(runs, list)
    for frames, result in zip(runs, results, strict=True):
        assert [frame["type"] for frame in frames] == [*(frame.type for frame in result.frames), "end"]
        sizes = [frame["values"]["act_rms"] for frame in frames if frame["type"] == "forward"]
        assert sizes[1:] == result.layers["act_rms"].tolist()  # what comes first is the input
