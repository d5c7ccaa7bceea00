"""What the service adds to the OpenAPI description: credentials, and the routes of rooms."""

import httpx

from tests.app.api.test_openapi import list_needs
from tests.conftest import Server


def test_what_a_call_needs_is_described(server: Server) -> None:
    openapi = httpx.get(f"{server.url}/openapi.json", timeout=60).json()
    schemes = openapi["components"]["securitySchemes"]
    assert {name: scheme["type"] for name, scheme in schemes.items()} == {
        **dict.fromkeys(("token", "key", "operator"), "http"),
        "cookie": "apiKey",
    }
    assert openapi["security"] == [{"token": []}, {"cookie": []}, {}]
    needed = list_needs(openapi)
    teacher = {name: {"key", "token"} for name in ("change_room", "list_room_views", "export_room", "delete_room")}
    owner = {name: {"key"} for name in ("feed_live_trace", "end_live_trace")}
    assert needed == {**teacher, **owner, "get_metrics": {"operator"}}
    assert all(name in schemes for names in needed.values() for name in names)
    assert "RoomRequest" in openapi["components"]["schemas"]
