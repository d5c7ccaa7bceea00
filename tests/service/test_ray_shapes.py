"""What a run asks a cluster for, and what is said where there is no such thing."""

from typing import Any

import pytest

from mhc_core.cost.estimates import estimate
from mhc_core.spec import parse_spec
from mhc_scope.engine.contract import RUN, VERIFICATION
from mhc_scope.engine.registry import UnknownEngine, build_engine
from mhc_scope.settings import GIB
from mhc_service.ray.options import Options
from mhc_service.ray.shapes import WorkerResources, explain_shortage, idle_worker_resources, job_resources
from mhc_service.settings import ServiceSettings

OPTIONS = Options("head:6379", cpus=4, gpus=0.0, wait_s=60.0, memory_bytes=16 * GIB)
ON_GPUS = Options("head:6379", cpus=4, gpus=0.5, wait_s=60.0, memory_bytes=16 * GIB)
WIDE: dict[str, Any] = {"width": 1024, "input": {"kind": "gaussian", "batch": 16, "tokens": 256}}


def ask(spec: dict[str, Any], options: Options = OPTIONS, kind: str = RUN) -> WorkerResources:
    return job_resources({"kind": kind, "spec": spec}, options)


def test_a_small_run_asks_for_what_a_worker_holds_anyway() -> None:
    assert ask({}) == idle_worker_resources(OPTIONS) == WorkerResources(1, 0.0, GIB)


def test_a_wide_run_asks_for_its_threads_and_for_memory_by_its_estimate() -> None:
    asked, predicted = ask(WIDE), estimate(parse_spec(WIDE)).peak_bytes
    assert asked.cpus == 4
    assert predicted <= asked.memory_bytes < 2 * predicted


def test_memory_is_never_more_than_a_worker_may_allocate() -> None:
    little = Options("head:6379", cpus=4, gpus=0.0, wait_s=60.0, memory_bytes=2 * GIB)
    assert ask(WIDE | {"depth": 512}, little).memory_bytes == 2 * GIB


def test_a_verification_in_float64_asks_for_more() -> None:
    assert ask(WIDE, kind=VERIFICATION).memory_bytes > ask(WIDE).memory_bytes


def test_a_gpu_is_asked_for_unless_the_spec_says_cpu() -> None:
    assert [ask({"device": device}, ON_GPUS).gpus for device in ("auto", "cuda", "cpu")] == [0.5, 0.5, 0.0]


def test_a_spec_that_is_not_valid_needs_nothing_special() -> None:
    assert ask({"depth": 0}) == idle_worker_resources(OPTIONS)


def test_a_worker_with_a_gpu_does_not_cover_what_needs_none() -> None:
    assert not WorkerResources(4, 0.5, 8 * GIB).covers(WorkerResources(1, 0.0, GIB))
    assert WorkerResources(4, 0.0, 8 * GIB).covers(WorkerResources(1, 0.0, GIB))


def test_what_no_machine_has_is_said_with_what_there_is() -> None:
    machines = [WorkerResources(2, 0.0, 4 * GIB), WorkerResources(16, 0.0, 8 * GIB)]
    assert explain_shortage(WorkerResources(2, 0.0, 8 * GIB), machines) is None
    assert explain_shortage(WorkerResources(2, 1.0, GIB), machines) == (
        "the run needs 2 CPU, 1 GPU and 1.0 GiB on one machine, and the cluster has none such: "
        "it has 16 CPU and 8.0 GiB; 2 CPU and 4.0 GiB"
    )
    assert "no machine" in str(explain_shortage(WorkerResources(1, 0.0, GIB), []))


def test_the_address_of_a_cluster_is_asked_for() -> None:
    with pytest.raises(UnknownEngine, match="--ray-address: got nothing"):
        build_engine(ServiceSettings(engine="ray"))


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "ray://head:10001", "head:6379/x", "head:99999"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.5:6379|out of range"):
        ServiceSettings(engine="ray", ray_address=address)
