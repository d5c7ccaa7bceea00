"""Define everything an operator can set: one definition for the `MHC_*` variables and the flags of `serve`."""

import os
import re
import socket
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from mhc_scope import limits

GIB = limits.GIB

# Allowed root paths: each part has only characters that addresses may contain without escapes.
ROOT_PATH = re.compile(r"(?:/[A-Za-z0-9_~@-][A-Za-z0-9._~@-]*)+")
HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")

WANTED_URL = "wanted that of an SQLite file, such as sqlite:////x.db; other databases need --service (MHC_SERVICE=true)"

LogFormat = Literal["text", "json"]

Port = Annotated[int, Field(ge=0, le=65535)]


def count_cores() -> int:
    """Return the CPU cores that this process may use; in a container they may be fewer than the machine has."""
    return max(1, len(os.sched_getaffinity(0)))


def parse_database_url(url: str, wanted: str) -> URL | None:
    """Parse the URL of a database; return None if it is empty.

    Raises
    ------
    ValueError
        If it is not valid, or is an SQLite URL without a file. The message ends with `wanted`.
    """
    if not url:
        return None
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):  # not chained: its message could contain a password
        raise ValueError(f"got no valid URL, {wanted}") from None
    if parts.drivername == "sqlite" and parts.database in (None, "", ":memory:"):
        raise ValueError(f"got a URL of sqlite without a file, {wanted}")
    return parts


class Settings(BaseSettings):
    """Serve the page and the API. Each setting is a flag and an environment variable, `MHC_` with the flag's name."""

    model_config = SettingsConfigDict(
        env_prefix="MHC_", cli_kebab_case=True, cli_implicit_flags=True, extra="forbid", frozen=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Port = Field(8000, description="Port to listen on; 0 takes a free one.")
    data: Path = Field(Path("data"), description="Folder of the database.")
    database_url: str = Field(
        "",
        description="SQLAlchemy URL of an SQLite file, or with --service of a PostgreSQL database; empty means a file "
        "in the data folder.",
    )
    forwarded_allow_ips: str = Field(
        "127.0.0.1", description="Proxies whose X-Forwarded-For names the client, separated by commas."
    )
    allowed_hosts: str = Field(
        "",
        description="Further host names that a request may use, separated by commas; * allows all. IP addresses, "
        "localhost, this machine's name and the name in the public URL are always allowed.",
    )
    connections_per_address: PositiveInt = Field(
        256, description="Largest number of connections of one IP address, or of one IPv6 /64."
    )
    root_path: str = Field("", description="Path below which a proxy serves this server, such as /tools/mhc.")
    cors_origins: str = Field("", description="Further origins whose pages may call the API, separated by commas.")
    public_url: str = Field("", description="Address that links use; empty means the address of the request.")

    connection: str = Field(
        "",
        description="Your own connections as module:FAMILY, separated by commas. Connections of installed packages "
        "need no setting.",
    )
    metric: str = Field(
        "",
        description="Your own metrics as module:METRIC, separated by commas. Metrics of installed packages need no "
        "setting.",
    )
    engine: str = Field(
        "local",
        description="Where runs are computed: local (worker processes on this machine) or, with --service, ray (a "
        "cluster).",
    )
    workers: int = Field(0, ge=0, description="Worker processes; 0 means one per CPU core.")
    worker_memory_bytes: PositiveInt = Field(
        8 * GIB,
        description="Memory that one worker may allocate; runs that are predicted to need more than half are refused.",
    )
    run_deadline_s: PositiveFloat = Field(300.0, description="Time after which a running run fails.")
    max_run_seconds: PositiveFloat = Field(60.0, description="Largest predicted time of a run; others are refused.")

    queue_s: PositiveFloat = Field(1200.0, description="Largest predicted time of all waiting and running runs.")
    keep_s: PositiveFloat = Field(
        86_400.0, description="Time for which a run is kept after its last use, unless a snapshot contains it."
    )
    max_store_bytes: PositiveInt = Field(20 * GIB, description="Largest size of the database.")
    log_format: LogFormat = Field("text", description="Format of the log: text, or json with one object per line.")
    spans: bool = Field(
        False, description="Send OpenTelemetry spans of requests and runs; the OTEL_* variables set the destination."
    )
    service: bool = Field(
        False, description="Add accounts, quotas, courses, the operator's page and clusters, with further settings."
    )
    precompute: bool = Field(
        True,
        description="Serve presets from the records in the package, and store the runs of the first page at start-up.",
    )

    @field_validator("database_url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        """Require the URL of an SQLite database, or an empty setting."""
        parts = parse_database_url(url, WANTED_URL)
        if parts is not None and parts.drivername != "sqlite":
            raise ValueError(f"got a URL of {parts.drivername}, {WANTED_URL}")
        return url

    @field_validator("public_url")
    @classmethod
    def _normalise_public_url(cls, url: str) -> str:
        """Require an http or https address without a query; return it without a trailing slash."""
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("wanted an address such as https://scope.example.org")
        return url.rstrip("/")

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        """Require a path such as /tools/mhc; return it without a trailing slash."""
        path = path.rstrip("/")
        if path and not ROOT_PATH.fullmatch(path):
            raise ValueError("wanted a path such as /tools/mhc")
        return path

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, text: str) -> str:
        """Require host names separated by commas; return them in lower case."""
        for name in filter(None, text.split(",")):
            if name != "*" and not HOST_NAME.fullmatch(name):
                raise ValueError(f"wanted names by commas, such as scope.example.org; {name!r} is none")
        return text.lower()

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, text: str) -> str:
        """Require http or https origins, separated by commas."""
        for origin in filter(None, text.split(",")):
            parts = urlsplit(origin)
            if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in ("http", "https"):
                raise ValueError(f"wanted origins by commas, such as https://notes.example.org; {origin!r} is none")
        return text

    @property
    def origins(self) -> tuple[str, ...]:
        """Return the origins whose pages may call the API, in addition to this server's own."""
        return tuple(filter(None, self.cors_origins.split(",")))

    @model_validator(mode="after")
    def _check_one_root(self) -> Self:
        """Require that a root path and the path of the public URL agree."""
        path = urlsplit(self.public_url).path
        if self.root_path and path not in ("", self.root_path):
            raise ValueError(f"MHC_ROOT_PATH: got {self.root_path!r}, wanted the path of MHC_PUBLIC_URL, {path!r}")
        return self

    @property
    def root(self) -> str:
        """Return the path below which a proxy serves this server; empty if there is none."""
        return self.root_path or urlsplit(self.public_url).path

    @property
    def public_base(self) -> str:
        """Return the public URL with the root path; empty if it is not set."""
        return self.public_url and self.public_url.removesuffix(self.root) + self.root

    @property
    def endpoints(self) -> list[tuple[str, int]]:
        """Return the hosts and ports on which the server listens."""
        return [(self.host, self.port)]

    @property
    def host_names(self) -> set[str]:
        """Return the allowed names in the Host header of requests, except IP addresses and localhost; * allows any."""
        machine = socket.gethostname().lower()
        own = {self.host.lower(), machine, f"{machine}.local", urlsplit(self.public_url).hostname or ""}
        return {*own, *self.allowed_hosts.split(",")} - {""}

    @property
    def public_origin(self) -> str:
        """Return the origin of the public URL, which requests through a proxy may lack; empty if it is not set."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}" if self.public_url else ""

    @property
    def max_run_bytes(self) -> float:
        """Return the largest predicted memory of an admitted spec. Predictions are accurate to a factor of two."""
        return self.worker_memory_bytes * limits.ADMITTED_MEMORY

    @property
    def worker_count(self) -> int:
        """Return the number of worker processes of the engine."""
        return self.workers or count_cores()

    @property
    def spare_run_s(self) -> float:
        """Return the largest predicted time of runs for the spare worker; 0 if there is no spare worker."""
        return limits.SHORT_RUN_S if self.engine == "local" and self.worker_count > 1 else 0.0

    @property
    def threads_per_worker(self) -> int:
        """Return the number of torch threads per worker, so that all workers together use each core once."""
        return max(1, count_cores() // self.worker_count)

    @property
    def sqlalchemy_url(self) -> str:
        """Return the URL of the database."""
        return self.database_url or f"sqlite:///{self.data.resolve() / 'mhc-scope.db'}"
