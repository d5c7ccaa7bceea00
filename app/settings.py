"""Everything an operator can set: one definition behind `MHC_*` variables and the flags of `serve`."""

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, PositiveInt, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

GIB = 2**30

LogFormat = Literal["text", "json"]

Port = Annotated[int, Field(ge=0, le=65535)]


def count_cores() -> int:
    """CPU cores that this process may use, which under a container is fewer than the machine has."""
    return max(1, len(os.sched_getaffinity(0)))


class Settings(BaseSettings):
    """The service's settings; the field descriptions are the table of the README."""

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
    encoders: PositiveInt = Field(1, description="Processes that write large results, beside the workers.")
    encoder_queue: PositiveInt = Field(32, description="Large results that may wait to be written.")
    encode_inside_bytes: int = Field(
        200_000, ge=0, description="Stored frames up to this are written out by the server itself, which is faster."
    )
    encoded_bytes: PositiveInt = Field(GIB // 2, description="Large results kept in the data folder once written.")
    log_format: LogFormat = Field("text", description="How the log is written: text, or json, one object a line.")
    precompute: bool = Field(True, description="Compute a missing default comparison at start-up.")

    @field_validator("database_url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        try:
            if url:
                make_url(url)
        except ArgumentError:
            raise ValueError("not an SQLAlchemy URL such as postgresql+psycopg://user@host/name") from None
        return url

    @field_validator("ray_address")
    @classmethod
    def _check_ray_address(cls, address: str) -> str:
        parts = urlsplit(f"//{address}")
        if address and not (parts.hostname and parts.port and parts.netloc == address):
            raise ValueError("not an address such as 10.0.0.5:6379")
        return address

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("not an address such as https://scope.example.org")
        return url.rstrip("/")

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, text: str) -> str:
        for origin in filter(None, text.split(",")):
            parts = urlsplit(origin)
            if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in ("http", "https"):
                raise ValueError(f"{origin!r} is not an origin such as https://notes.example.org")
        return text

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins whose pages may call the API, beside this server's own."""
        return tuple(filter(None, self.cors_origins.split(",")))

    @property
    def worker_count(self) -> int:
        """Worker processes to keep."""
        return self.workers or count_cores()

    @property
    def threads_per_worker(self) -> int:
        """Torch threads of one worker, so that all workers together fill the cores and no more."""
        return max(1, count_cores() // self.worker_count)

    @property
    def sqlalchemy_url(self) -> str:
        """Where the store lives."""
        return self.database_url or f"sqlite:///{self.data.resolve() / 'mhc-scope.db'}"
