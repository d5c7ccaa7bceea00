"""A cluster of Ray on this machine: a head and two nodes, real processes with ports and a folder of their own."""

import atexit
import contextlib
import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

GIB = 2**30
STORE_BYTES = 80 * 2**20


class RayCluster:
    """`nodes` machines, each of which says that it has so many CPUs."""

    def __init__(self, nodes: int = 2, cpus: int = 8) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        from ray.cluster_utils import Cluster

        # Short, for a socket's path has 107 characters at most.
        self.folder = Path(tempfile.mkdtemp(prefix="mhc-ray-", dir="/tmp"))
        # Not `temp_dir`: Ray writes the address of the cluster into its default folder whatever that option says. The
        # default folder may not exist, and where it exists the file may be that of another cluster.
        os.environ["RAY_TMPDIR"] = str(self.folder)
        given = {"object_store_memory": STORE_BYTES, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0} | given)
        self.nodes: list[Any] = [self.add_node(cpus) for _ in range(nodes)]
        atexit.register(self.stop)

    @property
    def address(self) -> str:
        """host:port of the head."""
        return str(self._cluster.address)

    def add_node(self, cpus: int = 8, memory_bytes: int = 64 * GIB) -> Any:
        """One more machine."""
        return self._cluster.add_node(num_cpus=cpus, memory=memory_bytes, object_store_memory=STORE_BYTES)

    def stop(self) -> None:
        """End all processes, and remove the folder."""
        atexit.unregister(self.stop)
        self._cluster.shutdown()
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def start_cluster() -> RayCluster:
    """The cluster that all tests of this process share."""
    return RayCluster()


def find_actors() -> list[int]:
    """Process ids of the actors on nodes that this process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # It has ended since.
            if path.read_text().startswith("ray::Actor") and _is_ours(int(path.parent.name)):
                found.append(int(path.parent.name))
    return sorted(found)


def _is_ours(pid: int) -> bool:
    """Whether it runs, on a node that is a child of this process."""
    state, node = read_stat(pid)[:2]
    return state != "Z" and int(read_stat(int(node))[1]) == os.getpid()


def read_stat(pid: int) -> list[str]:
    """State, parent, and what follows in /proc/PID/stat."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
