"""Everything an operator can set: one definition behind `MHC_*` variables and the flags of `serve`."""

import os
import re
import socket
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

GIB = 2**30

# What may stand in an address without being written otherwise, part by part.
ROOT_PATH = re.compile(r"(?:/[A-Za-z0-9_~@-][A-Za-z0-9._~@-]*)+")
HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")

POSTGRESQL = "postgresql+psycopg"  # SQLAlchemy's name of the driver

LogFormat = Literal["text", "json"]

Port = Annotated[int, Field(ge=0, le=65535)]


def count_cores() -> int:
    """CPU cores that this process may use, which under a container is fewer than the machine has."""
    return max(1, len(os.sched_getaffinity(0)))


class Settings(BaseSettings):
    """The service's settings; docs/settings.md is written from the field descriptions."""

    model_config = SettingsConfigDict(
        env_prefix="MHC_", cli_kebab_case=True, cli_implicit_flags=True, extra="forbid", frozen=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Port = Field(8000, description="Port to listen on; 0 takes a free one.")
    data: Path = Field(Path("data"), description="Folder of the database.")
    database_url: str = Field("", description="SQLAlchemy URL; empty means SQLite in the data folder.")
    forwarded_allow_ips: str = Field(
        "127.0.0.1", description="Proxies whose X-Forwarded-For names the client, separated by commas."
    )
    allowed_hosts: str = Field(
        "",
        description="Names that a request may call the server by, separated by commas; * allows all. Addresses, "
        "localhost, this machine's name and that of the public URL are allowed anyway.",
    )
    root_path: str = Field("", description="Path below which a proxy shows the server, such as /tools/mhc.")
    private_host: str = Field("127.0.0.1", description="Address of the private port.")
    private_port: Port = Field(0, description="Port at which operators read /metrics; 0 means none.")
    header_s: PositiveFloat = Field(10.0, description="Time until the head of a request must be whole.")
    body_s: PositiveFloat = Field(30.0, description="Time without progress after which a body is given up.")
    unread_s: PositiveFloat = Field(30.0, description="Time after which a client that does not read is cut off.")
    idle_s: PositiveInt = Field(75, description="Time that a connection is kept between two requests.")
    connections_per_address: PositiveInt = Field(256, description="Connections that one address may have, or one /64.")

    sso_header: str = Field(
        "", description="Header in which such a proxy names who has signed in, such as X-Remote-User; empty means none."
    )
    anonymous: Literal["run", "read", "none"] = Field(
        "run", description="What a client without a token or a name may do: run, read or none."
    )

    cors_origins: str = Field(
        "", description="Origins whose pages may call the API, separated by commas; empty means none but this server's."
    )
    public_url: str = Field("", description="Address that others reach the server by; empty takes that of the request.")

    connection: str = Field(
        "",
        description="Connections of your own as module:Family, separated by commas. Connections of installed packages "
        "need no setting.",
    )
    engine: str = Field(
        "local", description="What computes runs: local, worker processes on this machine, or ray, a cluster."
    )
    ray_address: str = Field("", description="Address host:port of the head of the Ray cluster, for the engine ray.")
    ray_cpus: PositiveInt = Field(
        2, description="CPUs of the cluster that a run with large tensors asks for; others one."
    )
    ray_gpus: float = Field(
        0.0,
        ge=0,
        le=64,
        description="GPUs of the cluster that a run asks for unless its device is cpu; 0.25 shares one.",
    )
    ray_wait_s: PositiveFloat = Field(
        60.0, description="Time that a run waits for busy CPUs, GPUs or memory of the cluster before it fails."
    )
    workers: int = Field(0, ge=0, description="Worker processes; 0 means one per CPU core.")
    worker_memory_bytes: PositiveInt = Field(8 * GIB, description="Data memory that one worker may allocate.")
    run_deadline_s: PositiveFloat = Field(300.0, description="Time after which a run is stopped as failed.")
    short_run_s: float = Field(
        2.0,
        ge=0,
        description="Predicted time of a run up to which one more worker takes it, where there are two or more and all "
        "are busy; 0 means none does.",
    )
    max_run_seconds: PositiveFloat = Field(60.0, description="Largest predicted time of an admitted spec.")
    max_run_bytes: PositiveFloat = Field(4.0 * GIB, description="Largest predicted memory of an admitted spec.")

    grid_cells: PositiveInt = Field(256, description="Largest number of cells of a sweep, which is a grid of runs.")
    max_grid_seconds: PositiveFloat = Field(600.0, description="Largest predicted time of all cells of a sweep.")

    queue_size: PositiveInt = Field(4096, description="Runs that may wait, over all clients.")
    queue_s: PositiveFloat = Field(1200.0, description="Predicted time of runs waiting or running, over all clients.")
    address_queue_s: PositiveFloat = Field(600.0, description="The same of all clients of one address.")
    client_queue_s: PositiveFloat = Field(120.0, description="The same of one client.")
    max_streams: PositiveInt = Field(512, description="Event streams open at once, over all clients.")
    address_streams: PositiveInt = Field(400, description="The same of all clients of one address.")
    client_streams: PositiveInt = Field(16, description="The same of one client.")
    client_read_bytes: PositiveInt = Field(
        200_000_000, description="Frames that one client may have read a minute, as results and figures."
    )
    address_read_bytes: PositiveInt = Field(2_000_000_000, description="The same of all clients of one address.")
    max_client_bytes: PositiveInt = Field(1 * GIB, description="What one client may keep, in traces and views.")
    max_address_bytes: PositiveInt = Field(5 * GIB, description="The same of all clients of one address.")
    max_body_bytes: PositiveInt = Field(1_000_000, description="Largest request body.")
    max_trace_bytes: PositiveInt = Field(64_000_000, description="Largest trace that is taken, packed and unpacked.")
    max_live_traces: PositiveInt = Field(16, description="Traces that may grow at a time, over all clients.")
    live_trace_s: PositiveFloat = Field(3600.0, description="Silence after which a growing trace is closed as failed.")
    heartbeat_s: PositiveFloat = Field(15.0, description="Silence on a stream before a heartbeat comment.")

    rooms_by: Literal["token", "anyone"] = Field(
        "token", description="Who makes rooms for courses: clients with a token, or anyone."
    )
    max_rooms: PositiveInt = Field(200, description="Rooms of courses that this server holds.")
    max_room_seconds: PositiveFloat = Field(
        600.0, description="Largest predicted time of runs that a room may have waiting or running."
    )

    keep_s: PositiveFloat = Field(86_400.0, description="Time that an unpinned run is kept after its last use.")
    keep_trace_s: PositiveFloat = Field(2_592_000.0, description="The same of a trace, which cannot be computed again.")
    keep_snapshot_s: PositiveFloat = Field(
        15_552_000.0, description="The same of a stored view, unless a client with a token keeps it: 180 days."
    )
    sweep_s: PositiveFloat = Field(600.0, description="Time between two sweeps of old runs.")
    max_store_bytes: PositiveInt = Field(20 * GIB, description="Size that the database may grow to.")
    min_free_bytes: PositiveInt = Field(GIB, description="Room that is kept free on the disk of the database.")
    log_cache_bytes: PositiveInt = Field(64_000_000, description="Frames held in memory beside the database.")
    lease_s: PositiveFloat = Field(
        10.0, description="Time within which other servers take over the runs of one that is silent."
    )
    store_patience_s: PositiveFloat = Field(
        30.0, description="Time that a frame waits for a database that cannot be written, before its run fails."
    )
    encoders: PositiveInt = Field(1, description="Processes that write large results, beside the workers.")
    encoder_queue: PositiveInt = Field(32, description="Large results that may wait to be written.")
    encode_inside_bytes: int = Field(
        200_000, ge=0, description="Stored frames up to this are written out by the server itself, which is faster."
    )
    encoded_bytes: PositiveInt = Field(GIB // 2, description="Large results kept in the data folder once written.")
    log_format: LogFormat = Field("text", description="How the log is written: text, or json, one object a line.")
    spans: bool = Field(
        False, description="Send spans of requests and runs by OpenTelemetry, whose OTEL_* variables say where to."
    )
    precompute: bool = Field(
        True,
        description="Serve presets from the records that ship with the package, and store the opening comparison at "
        "start-up.",
    )

    @field_validator("database_url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        """Hosts of databases write `postgres://` or `postgresql://`; the one driver that is used is psycopg."""
        if not url:
            return url
        wanted = (
            "wanted that of PostgreSQL or of an SQLite file, such as postgresql://user@host/name or sqlite:////x.db"
        )
        try:
            parts = make_url(url)
        except (ArgumentError, ValueError):  # its message would show a password
            raise ValueError(f"got what is not a URL, {wanted}") from None
        if parts.drivername in ("postgres", "postgresql"):
            return parts.set(drivername=POSTGRESQL).render_as_string(hide_password=False)
        if parts.drivername == "sqlite" and parts.database in (None, "", ":memory:"):
            raise ValueError(f"got a URL of sqlite without a file, {wanted}")
        if parts.drivername not in (POSTGRESQL, "sqlite"):
            raise ValueError(f"got a URL of {parts.drivername}, {wanted}")
        return url

    @field_validator("ray_address")
    @classmethod
    def _check_ray_address(cls, address: str) -> str:
        parts = urlsplit(f"//{address}")
        if address and not (parts.hostname and parts.port and parts.netloc == address):
            raise ValueError("wanted an address such as 10.0.0.5:6379")
        return address

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("wanted an address such as https://scope.example.org")
        return url.rstrip("/")

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        path = path.rstrip("/")
        if path and not ROOT_PATH.fullmatch(path):
            raise ValueError("wanted a path such as /tools/mhc")
        return path

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, text: str) -> str:
        for name in filter(None, text.split(",")):
            if name != "*" and not HOST_NAME.fullmatch(name):
                raise ValueError(f"wanted names by commas, such as scope.example.org; {name!r} is none")
        return text.lower()

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, text: str) -> str:
        for origin in filter(None, text.split(",")):
            parts = urlsplit(origin)
            if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in ("http", "https"):
                raise ValueError(f"wanted origins by commas, such as https://notes.example.org; {origin!r} is none")
        return text

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins whose pages may call the API, beside this server's own."""
        return tuple(filter(None, self.cors_origins.split(",")))

    @model_validator(mode="after")
    def _check_one_root(self) -> Self:
        path = urlsplit(self.public_url).path
        if self.root_path and path not in ("", self.root_path):
            raise ValueError(f"MHC_ROOT_PATH: got {self.root_path!r}, wanted the path of MHC_PUBLIC_URL, {path!r}")
        return self

    @property
    def root(self) -> str:
        """Path below which a proxy shows the server; empty for none."""
        return self.root_path or urlsplit(self.public_url).path

    @property
    def public_base(self) -> str:
        """The public URL with the root path, empty where it is not known."""
        return self.public_url and self.public_url.removesuffix(self.root) + self.root

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where to listen."""
        return [(self.host, self.port)] + ([(self.private_host, self.private_port)] if self.private_port else [])

    @property
    def host_names(self) -> set[str]:
        """Names that a request may call the server by, beside addresses and localhost; * stands for all."""
        machine = socket.gethostname().lower()
        own = {self.host.lower(), machine, f"{machine}.local", urlsplit(self.public_url).hostname or ""}
        return {*own, *self.allowed_hosts.split(",")} - {""}

    @property
    def public_origin(self) -> str:
        """Origin of pages at the public URL, which a proxy may hide from the requests; empty where it is not known."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}" if self.public_url else ""

    @property
    def worker_count(self) -> int:
        """Worker processes to keep."""
        return self.workers or count_cores()

    @property
    def spare_run_s(self) -> float:
        """Predicted time of a run up to which a spare worker takes it; 0 where there is none."""
        return self.short_run_s if self.engine == "local" and self.worker_count > 1 else 0.0

    @property
    def threads_per_worker(self) -> int:
        """Torch threads of one worker, so that all workers together fill the cores and no more."""
        return max(1, count_cores() // self.worker_count)

    @property
    def sqlalchemy_url(self) -> str:
        """Where the store lives."""
        return self.database_url or f"sqlite:///{self.data.resolve() / 'mhc-scope.db'}"
