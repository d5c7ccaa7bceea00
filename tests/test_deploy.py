"""What `deploy/` names is there: settings, commands, extras, stages of the image, versions, files, and users."""

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from mhc_service.settings import ServiceSettings
from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PINNED = re.compile(r".+:v?\d+(\.\d+)+[\w.-]*$")
OURS = {"mhc-scope:cpu", "mhc-scope:gpu"}
UID = 10001


@cache
def read_documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


@cache
def read_compose() -> dict[str, Any]:
    (compose,) = read_documents("compose.yaml")
    return compose


def read_example() -> dict[str, str]:
    """Variables that an operator is shown."""
    return dict(line.split("=", 1) for line in (DEPLOY / "example.env").read_text().splitlines() if "=" in line)


def read_environments() -> dict[str, dict[str, str]]:
    """What servers are told, by where it stands, with the defaults that compose would fill in."""
    found = {}
    for name in ("server-1", "server-2"):
        given = read_compose()["services"][name]["environment"]
        found[f"compose {name}"] = {key: fill_in(str(value)) for key, value in given.items()} | {
            "MHC_PUBLIC_URL": read_example()["MHC_PUBLIC_URL"]
        }
    deployment = next(each for each in read_documents("kuberay.yaml") if each["kind"] == "Deployment")
    (server,) = deployment["spec"]["template"]["spec"]["containers"]
    secret = "postgresql+psycopg://user@host/name"
    found["kuberay"] = {each["name"]: each.get("value", secret) for each in server["env"]}
    return found


def fill_in(text: str) -> str:
    """Compose's `${NAME:-default}` and `${NAME:?}`, without an environment."""
    return re.sub(r"\$\{\w+(?::-(.*?)|:\?.*?)\}", lambda match: match[1] if match[1] is not None else "given", text)


@pytest.mark.parametrize("place", read_environments())
def test_servers_are_told_settings_that_there_are_with_values_that_they_take(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = read_environments()[place]
    known = {f"MHC_{name.upper()}" for name in ServiceSettings.model_fields}
    assert set(environment) <= known
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = ServiceSettings()
    assert (settings.engine, settings.ray_address.rpartition(":")[2]) == ("ray", "6379")
    monkeypatch.setenv("MHC_RAY_ADDRESS", "nonsense")
    with pytest.raises(ValidationError):
        ServiceSettings()


def list_images() -> list[str]:
    found = [service["image"] for service in read_compose()["services"].values()]
    text = (DEPLOY / "kuberay.yaml").read_text()
    return sorted({*found, *re.findall(r"image: (\S+)", text)})


@pytest.mark.parametrize("image", list_images())
def test_images_are_ours_or_pinned(image: str) -> None:
    assert image in OURS or PINNED.match(image), image


def test_bases_of_the_image_are_pinned_and_its_user_is_a_number() -> None:
    bases = re.findall(r"^ARG \w+_BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert all(PINNED.match(base) for base in bases)
    assert set(re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)) == {f"{UID}:{UID}"}
    stages = re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.MULTILINE)
    assert stages[-1] == "cpu", "the last stage is what a build without a target makes"
    targets = {service["build"]["target"] for service in read_compose()["services"].values() if "build" in service}
    assert targets <= set(stages)


def test_what_the_image_copies_is_there() -> None:
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists(), name


def test_extras_of_the_image_are_those_of_the_project() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = re.findall(r'"\.\[(.+?)\]"', DOCKERFILE)
    assert len(asked) == 2
    assert all(name in extras for each in asked for name in each.split(","))


def test_hadolint_has_nothing_to_say() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_version_of_ray_is_the_pinned_one() -> None:
    (pin,) = re.findall(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    cluster = next(each for each in read_documents("kuberay.yaml") if each["kind"] == "RayCluster")
    assert cluster["spec"]["rayVersion"] == pin


def list_pods() -> list[dict[str, Any]]:
    cluster, server = (
        next(each for each in read_documents("kuberay.yaml") if each["kind"] == kind)
        for kind in ("RayCluster", "Deployment")
    )
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"], server["spec"]]
    return [group["template"]["spec"] for group in groups]


def test_no_pod_is_root() -> None:
    assert len(list_pods()) == 4
    for pod in list_pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == UID
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["resources"]["limits"]["memory"]


def test_ports_are_those_that_are_listened_on() -> None:
    command = str(re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE))
    assert '"--port", "8000"' in command
    (server,) = list_pods()[-1]["containers"]
    assert [port["containerPort"] for port in server["ports"]] == [8000]
    caddy = (DEPLOY / "Caddyfile").read_text()
    names = re.findall(r"([\w-]+):8000", caddy)
    assert names == [name for name in read_compose()["services"] if name.startswith("server-")]
    assert "--port=6379" in read_compose()["services"]["ray-head"]["command"]


def test_volumes_and_networks_are_declared_and_files_are_there() -> None:
    compose = read_compose()
    for name, service in compose["services"].items():
        assert set(service["networks"]) <= set(compose["networks"]), name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"]
        assert all(other in compose["services"] for other in service.get("depends_on", []))


def test_the_example_names_every_variable_that_must_be_given() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    example = read_example()
    assert set(re.findall(r"\$\{(\w+):\?", text)) <= set(example)
    assert set(example) <= set(re.findall(r"\$\{(\w+)", text))
    assert example["POSTGRES_PASSWORD"] == ""


def test_only_the_edge_is_reached_from_outside() -> None:
    services = read_compose()["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["caddy"]
    assert read_compose()["networks"]["inside"]["internal"] is True
    assert [name for name, service in services.items() if "outside" in service["networks"]] == ["caddy"]
