"""Settings of the service: read with `--service` alone, and named where they are given without it."""

import re

import pytest

from mhc_scope.commands.configuration import InvalidSettings, find_unknown_variables, load_settings
from mhc_scope.settings import Settings
from mhc_service.settings import WANTED_URL, ServiceSettings

POSTGRESQL = "postgresql+psycopg://ann:s%40@db:5432/scope?sslmode=require"


def test_a_flag_or_a_variable_chooses_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(load_settings(["--port", "0"])) is Settings
    found = load_settings(["--service", "--anonymous=read", "--private-port", "9100"])
    assert isinstance(found, ServiceSettings)
    assert (found.anonymous, found.endpoints) == ("read", [("127.0.0.1", 8000), ("127.0.0.1", 9100)])
    monkeypatch.setenv("MHC_SERVICE", "true")
    assert isinstance(load_settings(), ServiceSettings)
    assert type(load_settings(["--no-service"])) is Settings


def test_mistakes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(["--service", "--anonymous=all", "--ray-gpus", "65", "--ray-trained", "trained"])
    assert sorted(str(caught.value).splitlines()) == [
        "--anonymous: got 'all', wanted one of run, read, none",
        "--ray-gpus: got '65', wanted a number from 0 to 64",
        "--ray-trained: got 'trained', wanted an absolute path, such as /var/tmp/mhc-trained",
    ]
    monkeypatch.setenv("MHC_SERVICE", "perhaps")
    with pytest.raises(InvalidSettings, match=r"^MHC_SERVICE: got 'perhaps', wanted true or false$"):
        load_settings()


def test_a_setting_of_the_service_is_named_where_it_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSettings, match=r"--anonymous is a setting of --service; --service --help lists all"):
        load_settings(["--anonymous", "read"])
    monkeypatch.setenv("MHC_ANONYMOUS", "read")
    assert list(find_unknown_variables(load_settings())) == [
        "the variable MHC_ANONYMOUS is ignored: it is a setting of --service"
    ]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_urls_of_postgresql_are_taken_as_hosts_write_them(scheme: str) -> None:
    url = POSTGRESQL.replace("postgresql+psycopg", scheme)
    assert load_settings(["--service", "--database-url", url]).sqlalchemy_url == POSTGRESQL
    with pytest.raises(InvalidSettings, match=rf"^--database-url: got a URL of {re.escape(scheme)}, .* need --service"):
        load_settings(["--database-url", url])


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://ann:secret@db/scope", "got a URL of mysql"),
        ("postgresql+psycopg2://ann:secret@db/scope", "got a URL of postgresql+psycopg2"),
        ("sqlite://", "got a URL of sqlite without a file"),
        ("postgresql://ann:secret@db:port/scope", "got no valid URL"),
        ("secret", "got no valid URL"),
    ],
)
def test_another_database_is_refused_in_a_sentence_without_its_password(url: str, said: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(["--service", "--database-url", url])
    assert str(caught.value) == f"--database-url: {said}, {WANTED_URL}"
