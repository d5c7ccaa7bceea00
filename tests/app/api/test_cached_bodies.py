"""What stays the same while the server runs is written and compressed once for all who ask."""

from typing import Any

import brotli
import httpx
import pytest
from starlette.requests import Request

from mhc_scope.api.cached_bodies import CachedBody

PATHS = ["schema", "presets", "presets/previews", "panels?runs=3&theme=light"]


def build_request(coding: str) -> Request:
    scope: dict[str, Any] = {"type": "http", "headers": [(b"accept-encoding", coding.encode())]}
    return Request(scope)


def test_it_is_compressed_once() -> None:
    kept = CachedBody(b'{"a":[' + b"1," * 5000 + b"1]}")
    first, second = (kept.respond(build_request("gzip, br"), {"ETag": kept.etag}) for _ in range(2))
    assert first.body is second.body
    assert brotli.decompress(bytes(first.body)) == kept.plain
    assert dict(first.headers) == {
        "etag": kept.etag,
        "vary": "Accept-Encoding",
        "content-encoding": "br",
        "content-length": str(len(first.body)),
        "content-type": "application/json",
    }
    plain = kept.respond(build_request("identity"))
    assert plain.body is kept.plain
    assert "content-encoding" not in plain.headers


@pytest.mark.sample(4)
@pytest.mark.parametrize("path", PATHS)
def test_all_forms_say_the_same(client: httpx.Client, path: str) -> None:
    plain = client.get(f"/{path}", headers={"Accept-Encoding": "identity"})
    for coding in ("gzip", "br"):
        packed = client.get(f"/{path}", headers={"Accept-Encoding": coding})
        assert packed.headers["content-encoding"] == coding
        assert int(packed.headers["content-length"]) < len(plain.content) / 2
        assert packed.content == plain.content
        assert packed.json()
