"""Who is taken for whom: tokens, names of a proxy, cookies, addresses; and what each may do."""

import time
from pathlib import Path
from typing import Literal

import pytest

from mhc_scope.services.errors import InvalidTokenError, MissingRightError, NoTokenError
from mhc_scope.services.identity import (
    SERVER,
    ClientIdentity,
    Rights,
    hash_secret,
    require_rights,
    to_block,
    to_ip_key,
    to_viewer,
)
from mhc_scope.store.sqlite_database import SqliteDatabase
from mhc_scope.store.transaction import open_transaction
from mhc_service.identity import Identities, new_cookie
from mhc_service.settings import ServiceSettings
from mhc_service.tokens import TokenStore, add_token, list_tokens, remove_token
from tests.apart import run_apart, run_loop

HOST = "192.0.2.7"


def identify(
    url: str,
    host: str = HOST,
    *,
    token: str | None = None,
    name: str | None = None,
    cookie: str | None = None,
    anonymous: Literal["run", "read", "none"] = "run",
) -> ClientIdentity:
    """As a server on that database does."""

    async def ask() -> ClientIdentity:
        database = SqliteDatabase(url)
        try:
            identities = Identities(ServiceSettings(anonymous=anonymous), TokenStore(database))
            return await identities.identify(host, token=token, name=name, cookie=cookie)
        finally:
            await database.close()

    return run_loop(ask())


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database of a test's own."""
    return f"sqlite:///{tmp_path / 'mhc-scope.db'}"


def give(url: str, rights: Rights, days: float = 1) -> str:
    """A new token's text."""

    def work() -> str:
        with open_transaction(url) as connection:
            return add_token(connection, "ann", rights, time.time() + 86_400 * days)[1]

    return run_apart(work)


@pytest.mark.parametrize(
    ("host", "block"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:c000:207", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:0db8:0001:0002::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_a_block_shares_a_budget(host: str, block: str) -> None:
    assert to_block(host) == block


@pytest.mark.parametrize("host", ["unknown", "", "192.0.2.7:80", "192.0.2.300", "x" * 500, "a' OR 1=1 --"])
def test_what_is_no_address_is_a_block_of_its_own(host: str) -> None:
    assert to_block(host).startswith("host:")
    assert len(to_block(host)) <= 64
    assert to_block(host) != to_block(host + "x")


@pytest.mark.parametrize("rights", ["read", "run", "admin"])
def test_a_token_tells_who_asks_and_what_they_may(url: str, rights: Rights) -> None:
    text = give(url, rights)
    client = identify(url, token=text, name="proxied", cookie=new_cookie(), anonymous="none")
    assert (client.rights, client.address, client.is_known) == (rights, HOST, True)
    assert client.key.startswith("token:")
    assert client.key.removeprefix("token:") in text


def test_only_a_hash_of_a_token_is_stored(url: str, tmp_path: Path) -> None:
    text = give(url, "run")
    secret = text.rpartition("_")[2] if text.count("_") == 2 else text[21:]
    stored = (tmp_path / "mhc-scope.db").read_bytes()
    assert secret.encode() not in stored
    assert hash_secret(text).encode() in stored


def test_a_wrong_token_is_never_no_token(url: str) -> None:
    text = give(url, "admin")
    other = text[:-1] + ("A" if text[-1] != "A" else "B")
    unknown = "mhc_" + "0" * 16 + text[20:]
    for wrong in (other, unknown, "", "x", text + " ", text.upper(), text[:21], "mhc_'--", "\ud800", text + "\0"):
        with pytest.raises(InvalidTokenError):
            identify(url, token=wrong, name="proxied", cookie=new_cookie())
    assert identify(url, token=text).rights == "admin"


def test_an_expired_or_removed_token_is_refused(url: str) -> None:
    expired, removed = give(url, "run", days=-1), give(url, "run")
    with open_transaction(url) as connection:
        (token,) = [item for item in list_tokens(connection) if item.token_hash == hash_secret(removed)]
        assert remove_token(connection, token.id)
        assert not remove_token(connection, token.id)
    for text, why in ((expired, "expired"), (removed, "does not know the token")):
        with pytest.raises(InvalidTokenError, match=why):
            identify(url, token=text)


def test_a_name_of_the_proxy_comes_before_the_cookie(url: str) -> None:
    client = identify(url, name="ann", cookie=new_cookie(), anonymous="none")
    assert client == ClientIdentity("name:ann", HOST, "run", is_known=True)
    long = [identify(url, name="a" * 200 + end).key for end in "bc"]
    assert len(set(long)) == 2
    assert all(len(key) <= 96 for key in long)


def test_a_cookie_is_one_client_wherever_it_is(url: str) -> None:
    cookie = new_cookie()
    here, there = (identify(url, host, cookie=cookie) for host in (HOST, "198.51.100.1"))
    assert here.key == there.key
    assert here.address != there.address
    assert cookie not in here.key
    assert identify(url, cookie=new_cookie()).key != here.key


@pytest.mark.parametrize("cookie", [None, "", "x", "a" * 33, "ä" * 32, "name:ann", "'" * 32, "token:0123456789abcdef"])
def test_without_a_cookie_of_ours_it_is_the_address(url: str, cookie: str | None) -> None:
    assert identify(url, cookie=cookie).key == to_ip_key(HOST)


@pytest.mark.parametrize(("anonymous", "allowed"), [("run", {"read", "run"}), ("read", {"read"}), ("none", set[str]())])
def test_what_an_anonymous_client_may_do(
    url: str, anonymous: Literal["run", "read", "none"], allowed: set[str]
) -> None:
    client = identify(url, anonymous=anonymous)
    rights: tuple[Rights, ...] = ("read", "run", "admin")
    for wanted in rights:
        if wanted in allowed:
            require_rights(client, wanted)
        else:
            with pytest.raises(NoTokenError, match=wanted):
                require_rights(client, wanted)


def test_a_known_client_is_told_that_its_rights_do_not_do() -> None:
    with pytest.raises(MissingRightError, match="needs the right to run; you have the right to read"):
        require_rights(ClientIdentity("token:a", HOST, "read", is_known=True), "run")


def test_a_client_owns_what_is_its_own_and_an_admin_everything() -> None:
    ann, ben = ClientIdentity("cookie:a", HOST), ClientIdentity("cookie:b", HOST)
    assert ann.owns("cookie:a")
    assert not ben.owns("cookie:a")
    assert not ann.owns("")  # the server's own
    assert SERVER.owns("cookie:a")
    # A script is known by its address alone: what it made belongs to all there.
    assert ann.owns(to_ip_key(HOST))
    assert not ClientIdentity("cookie:a", "198.51.100.1").owns(to_ip_key(HOST))


def test_a_viewer_is_a_clients_own() -> None:
    ann, ben = ClientIdentity("cookie:a", HOST), ClientIdentity("cookie:b", HOST)
    assert to_viewer(ann, "x") == to_viewer(ann, "x") != to_viewer(ann, "y")
    # Neither another's text nor another's key or address makes one its viewer.
    for text in ("x", ann.key, HOST, "", f"\n{ann.key}", to_viewer(ann, "x")):
        assert to_viewer(ben, text) not in (to_viewer(ann, "x"), to_viewer(ann, None), ann.key)
