"""Compute the resources that a run requests from the cluster, CPUs, GPUs and memory, from its predicted cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mhc_core.cost.rates import DEFAULT_RATES
from mhc_core.cost.threads import choose_threads
from mhc_core.spec import SpecErrors, parse_spec
from mhc_scope.services.predictions import COUNT
from mhc_scope.settings import GIB
from mhc_service.ray.options import Options


@dataclass(frozen=True)
class WorkerResources:
    """The resources of a worker or a machine."""

    cpus: float
    gpus: float
    memory_bytes: float

    def covers(self, other: "WorkerResources") -> bool:
        """Return whether a worker with these resources can run a job that needs `other`."""
        return self.cpus >= other.cpus and self.gpus == other.gpus and self.memory_bytes >= other.memory_bytes

    def fits_in(self, other: "WorkerResources") -> bool:
        """Return whether a machine with the resources `other` has enough for this worker."""
        return self.cpus <= other.cpus and self.gpus <= other.gpus and self.memory_bytes <= other.memory_bytes

    def __str__(self) -> str:
        """Return the resources in words, such as "2 CPU, 1 GPU and 3.0 GiB"."""
        gpus = f", {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus:g} CPU{gpus} and {self.memory_bytes / GIB:.1f} GiB"


def idle_worker_resources(options: Options) -> WorkerResources:
    """Return the resources of a worker that waits for its first run: enough for a spec with small tensors."""
    return WorkerResources(1, options.gpus, min(GIB, options.memory_bytes))


def job_resources(job: dict[str, Any], options: Options) -> WorkerResources:
    """Return the resources of a job. An invalid job gets those of an idle worker, which then reports the error."""
    try:
        spec = parse_spec(job["spec"])
    except SpecErrors:
        return idle_worker_resources(options)
    cost = COUNT[job["kind"]](spec, DEFAULT_RATES)
    memory = GIB
    while memory < cost.peak_bytes:  # powers of two, so that a worker is rarely replaced by one with another size
        memory *= 2
    return WorkerResources(
        choose_threads(spec, options.cpus),
        0.0 if spec.device == "cpu" else options.gpus,
        min(memory, options.memory_bytes),
    )


def explain_shortage(wanted: WorkerResources, machines: Iterable[WorkerResources]) -> str | None:
    """Return a sentence that no machine has the wanted resources, with a list of the machines; None if one has."""
    machines = list(machines)
    if any(wanted.fits_in(machine) for machine in machines):
        return None
    found = "; ".join(sorted({str(machine) for machine in machines})) or "no machine"
    return f"the run needs {wanted} on one machine, and the cluster has none such: it has {found}"
