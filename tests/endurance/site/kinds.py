"""The two sites of the trials: one server on SQLite, and two on PostgreSQL with a Ray cluster."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.engine import make_url

from mhc_scope.settings import Settings
from tests.contract.engine.ray_cluster import RayCluster
from tests.endurance.site.servers import Site
from tests.service.postgresql import PostgreSQL, find_programs, run_server

NODES, CPUS = 2, 8
# PostgreSQL needs the service, whose shares of one client are not what is tried here.
ROOMY = ("--service", "--client-queue-s", "600", "--client-streams", "400")


class Place:
    """A site with what it stands on.

    Attributes
    ----------
    database_url: as SQLAlchemy has it.
    ray: the cluster, where the site has one.
    """

    def __init__(self, site: Site, database_url: str, ray: RayCluster | None = None) -> None:
        self.site, self.database_url, self.ray = site, database_url, ray

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection to the database, beside the servers."""
        engine = create_engine(self.database_url, poolclass=NullPool)
        with engine.connect() as connection:
            yield connection


@contextmanager
def open_sqlite(
    folder: Path, *flags: str, is_forked: bool = False, environment: Mapping[str, str] | None = None
) -> Iterator[Place]:
    """One server."""
    site = Site(folder, ("--workers", "2", *flags), is_forked=is_forked, environment=environment)
    url = Settings(data=folder / "data-0").sqlalchemy_url
    try:
        site.start()
        yield Place(site, url)
    finally:
        site.stop()


@contextmanager
def open_postgresql(
    folder: Path, url: str, *flags: str, port: int | None = None, is_forked: bool = False
) -> Iterator[Place]:
    """Two servers on a database of PostgreSQL, with a worker each; `port` is that of a relay to it."""
    used = make_url(url).set(port=port or make_url(url).port).render_as_string(hide_password=False)
    site = Site(folder, (*ROOMY, "--workers", "1", "--database-url", used, *flags), 2, is_forked=is_forked)
    try:
        site.start()
        yield Place(site, url)
    finally:
        site.stop()


@contextmanager
def open_cluster(folder: Path, *flags: str, is_forked: bool = False) -> Iterator[Place]:
    """Two servers on one PostgreSQL, with workers in one Ray cluster of two nodes."""
    with ExitStack() as stack:
        url = stack.enter_context(open_database()).create_database()
        ray = RayCluster(NODES, CPUS)
        stack.callback(ray.stop)
        engine = ("--service", "--engine", "ray", "--ray-address", ray.address)
        site = Site(folder, ("--workers", "1", "--database-url", url, *engine, *flags), 2, is_forked=is_forked)
        stack.callback(site.stop)
        site.start()
        yield Place(site, url, ray)


@contextmanager
def open_database() -> Iterator[PostgreSQL]:
    """A PostgreSQL of the trial's own."""
    programs = find_programs()
    if programs is None:
        raise SystemExit("PostgreSQL is missing: apt-get install postgresql")
    with run_server(programs) as running:
        yield running
