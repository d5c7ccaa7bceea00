"""Tokens from the command line: given out, listed and taken back, beside a running server and without one."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from mhc_probe.client import Client, RefusedError
from mhc_scope.store.sqlite_database import SqliteDatabase
from tests.apart import run_loop
from tests.conftest import Call
from tests.service.conftest import start_service

TOKEN = re.compile(r"mhc_([0-9a-f]{16})_[\w-]{43}")


def test_a_token_is_given_out_and_taken_back_while_the_server_runs(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--no-precompute", "--workers", "1", "--anonymous", "none")
    server = start_service(tmp_path / "data", *flags, ready="/livez")
    try:
        where = ("--data", str(server.data))
        done = call("token", "add", "Ann's laptop", "--rights", "run", "--days", "2", *where)
        assert done.returncode == 0, done.stderr
        token = TOKEN.fullmatch(done.stdout.strip())
        assert token
        assert "may run" in done.stderr
        listed = call("token", "list", *where).stdout
        assert re.search(rf"{token[1]} +run +until 20\d\d-.* UTC +Ann's laptop", listed)
        assert token[0] not in listed
        with Client(server.url, token=token[0], patience_s=0) as client:
            assert client.submit({"depth": 2, "width": 16}).id
        monkeypatch.setenv("MHC_SCOPE_TOKEN", token[0])
        with Client(server.url, patience_s=0) as client:
            assert client.submit({"depth": 2, "width": 16}).id
            assert call("token", "remove", token[1], *where).returncode == 0
            with pytest.raises(RefusedError) as caught:
                client.submit({"depth": 2, "width": 16})
        assert (caught.value.status, caught.value.kind) == (401, "no-token")
        assert call("token", "remove", token[1], *where).returncode == 2
        assert httpx.get(f"{server.url}/livez").status_code == 200
    finally:
        server.kill()


def test_a_token_can_be_given_out_before_the_first_start(call: Call, tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = call("token", "add", "ann", "--data", str(data), "--days", "0")
    assert done.returncode == 0, done.stderr
    assert "until it is removed" in done.stderr
    # A server opens it, and finds the folder free.
    run_loop(SqliteDatabase(f"sqlite:///{data / 'mhc-scope.db'}").close())


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", ""), "name: got ''"),
        (("add", "a\nb"), "printable"),
        (("add", "a" * 81), "1 to 80"),
        (("add", "a", "--days", "-1"), "--days: got -1"),
        (("add", "a", "--days", "nan"), "--days: got nan"),
        (("add", "a", "--rights", "root"), "invalid choice"),
        (("remove", "nothing"), "id: got 'nothing'"),
        (("list", "--database-url", "no url"), "got no valid URL, wanted that of PostgreSQL"),
        ((), "required"),
    ],
)
def test_mistakes_are_named(call: Call, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    where = ("--data", str(tmp_path / "data")) if arguments and "--database-url" not in arguments else ()
    done = call("token", *arguments, *where)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_of_another_program_is_left_as_it_is(call: Call, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "mhc-scope.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE theirs (x)")
    before = file.read_bytes()
    done = call("token", "add", "ann", "--data", str(tmp_path / "data"))
    assert done.returncode == 2
    assert "does not know: theirs" in done.stderr
    assert file.read_bytes() == before
