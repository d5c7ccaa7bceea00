"""Browsers with cookies of their own, tokens, and a view that one of them has stored."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mhc_service.identity import new_cookie
from tests.conftest import compute
from tests.forked import run_command

FreshSpec = Callable[..., dict[str, Any]]
Clients = tuple[httpx.Client, httpx.Client]
SSO = "X-Remote-User"


def give_token(data: Path, *options: str) -> str:
    """A token, from the command line, beside a running server."""
    with tempfile.TemporaryDirectory() as folder:
        done = run_command(["token", "add", "ann", *options, "--data", str(data)], "", Path(folder))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def join(http: httpx.Client, **headers: str) -> httpx.Client:
    """A client of its own, with a cookie as a browser has one."""
    return httpx.Client(base_url=http.base_url, timeout=60, cookies={"mhc_client": new_cookie()}, headers=headers)


@pytest.fixture
def clients(client: httpx.Client) -> Iterator[Clients]:
    """Ann and Ben, two browsers at one address."""
    with join(client) as ann, join(client) as ben:
        yield ann, ben


@pytest.fixture
def view(clients: Clients, fresh_spec: FreshSpec) -> dict[str, Any]:
    """A view that Ann has stored."""
    ann, _ = clients
    answer = ann.post("/snapshots", json={"runs": [compute(ann, fresh_spec())], "title": "Ann's"})
    assert answer.status_code == 201
    body: dict[str, Any] = answer.json()
    return body
