"""Define the settings that the service adds: accounts, quotas, courses, operators and the cluster."""

from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from mhc_scope.settings import GIB, Port, Settings, parse_database_url

POSTGRESQL = "postgresql+psycopg"  # SQLAlchemy's name of the driver
WANTED_URL = "wanted that of PostgreSQL or of an SQLite file, such as postgresql://user@host/name or sqlite:////x.db"


class ServiceSettings(Settings):
    """Serve the page and the API to groups. Each setting is a flag and an environment variable, `MHC_` with the
    flag's name.
    """

    sso_header: str = Field(
        "",
        description="Header in which a trusted proxy names the signed-in person, such as X-Remote-User; empty means "
        "none.",
    )
    anonymous: Literal["run", "read", "none"] = Field(
        "run", description="Rights of clients without a token or a name: run, read or none."
    )
    lease_s: PositiveFloat = Field(
        10.0, description="Time within which other servers on PostgreSQL take over the runs of a lost server."
    )
    private_host: str = Field("127.0.0.1", description="Address of the private port.")
    private_port: Port = Field(0, description="Separate port for /metrics; 0 means none.")

    client_queue_s: PositiveFloat = Field(
        120.0, description="Largest predicted time of waiting and running runs of one client."
    )
    address_queue_s: PositiveFloat = Field(600.0, description="The same for all clients of one IP address.")
    client_streams: PositiveInt = Field(16, description="Largest number of open event streams of one client.")
    address_streams: PositiveInt = Field(400, description="The same for all clients of one IP address.")
    client_read_bytes: PositiveInt = Field(
        200_000_000,
        description="Bytes of frames that the server reads per minute for results and figures of one client.",
    )
    address_read_bytes: PositiveInt = Field(2_000_000_000, description="The same for all clients of one IP address.")
    max_client_bytes: PositiveInt = Field(
        1 * GIB, description="Bytes of recordings and snapshots that one client may store."
    )
    max_address_bytes: PositiveInt = Field(5 * GIB, description="The same for all clients of one IP address.")

    rooms_by: Literal["token", "anyone"] = Field(
        "token", description="Who may create rooms for courses: token (clients with a token) or anyone."
    )
    max_rooms: PositiveInt = Field(200, description="Largest number of rooms for courses.")
    max_room_seconds: PositiveFloat = Field(
        600.0, description="Largest predicted time of waiting and running runs of one room."
    )

    ray_address: str = Field("", description="Address host:port of the head of the Ray cluster, for the engine ray.")
    ray_cpus: PositiveInt = Field(
        2, description="CPUs of the cluster for a run with large tensors; other runs get one."
    )
    ray_gpus: float = Field(
        0.0,
        ge=0,
        le=64,
        description="GPUs of the cluster for a run, unless its device is cpu; with 0.25, four runs share one.",
    )
    ray_wait_s: PositiveFloat = Field(
        60.0, description="Time for which a run waits for CPUs, GPUs or memory of the cluster before it fails."
    )
    ray_trained: str = Field(
        "",
        description="Folder on the machines of the cluster, shared or one on each, in which workers store trained "
        "stacks for runs that differ only in their edits; empty means that each run trains.",
    )

    @field_validator("database_url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        """Replace `postgres://` and `postgresql://`, as database hosts write them, by the URL of the driver psycopg."""
        parts = parse_database_url(url, WANTED_URL)
        if parts is None or parts.drivername in (POSTGRESQL, "sqlite"):
            return url
        if parts.drivername in ("postgres", "postgresql"):
            return parts.set(drivername=POSTGRESQL).render_as_string(hide_password=False)
        raise ValueError(f"got a URL of {parts.drivername}, {WANTED_URL}")

    @field_validator("ray_address")
    @classmethod
    def _check_ray_address(cls, address: str) -> str:
        """Require an address with a port, or an empty one."""
        parts = urlsplit(f"//{address}")
        if address and not (parts.hostname and parts.port and parts.netloc == address):
            raise ValueError("wanted an address such as 10.0.0.5:6379")
        return address

    @field_validator("ray_trained")
    @classmethod
    def _check_ray_trained(cls, folder: str) -> str:
        """Require an absolute path, or an empty one."""
        if folder and not PurePosixPath(folder).is_absolute():
            raise ValueError("wanted an absolute path, such as /var/tmp/mhc-trained")
        return folder

    @property
    def endpoints(self) -> list[tuple[str, int]]:
        """Return each host and port to listen on: the public one, and the private one if there is one."""
        private = [(self.private_host, self.private_port)] if self.private_port else []
        return super().endpoints + private
