"""Tokens on PostgreSQL: given out, listed and taken back beside a server, which goes by them from the next request."""

import re

import httpx
import pytest

from tests.conftest import Call, StartServer
from tests.service.postgresql import PostgreSQL
from tests.service.test_tokens import TOKEN

pytestmark = pytest.mark.full


def test_tokens_are_those_of_the_database(call: Call, launch: StartServer, postgresql: PostgreSQL) -> None:
    url = postgresql.create_database()
    before = call("token", "add", "early", "--rights", "read", "--database-url", url)
    assert before.returncode == 0, before.stderr  # a token may be given out before the first start
    server = launch("--workers", "1", "--anonymous", "none", "--database-url", url, ready="/livez")
    with httpx.Client(base_url=server.api, timeout=60) as http:

        def ask(token: str) -> int:
            return http.get("/runs/unknown", headers={"Authorization": f"Bearer {token}"}).status_code

        assert ask(before.stdout.strip()) == 404  # it may look, and there is nothing
        later = call("token", "add", "late", "--days", "2", "--database-url", url)
        token = TOKEN.fullmatch(later.stdout.strip())
        assert token
        assert ask(token[0]) == 404
        listed = call("token", "list", "--database-url", url).stdout
        assert re.search(rf"{token[1]} +run +until 20\d\d-.* UTC +late", listed)
        assert token[0] not in listed
        assert call("token", "remove", token[1], "--database-url", url).returncode == 0
        assert ask(token[0]) == 401
        assert ask(before.stdout.strip()) == 404
    assert "late" not in call("token", "list", "--database-url", url).stdout
    assert call("token", "remove", token[1], "--database-url", url).returncode == 2
