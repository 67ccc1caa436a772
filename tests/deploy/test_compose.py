"""deploy/compose.yaml, as far as it can be judged without Docker."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy import manifests
from tests.deploy.deployed_store import DEPLOY

FILE = DEPLOY / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROCESSES = [name for name in SERVICES if name.startswith("leasehold")]


def test_compose_file_has_the_form_that_compose_takes() -> None:
    """It is held against the published schema."""
    command = ("-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE))
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout


def test_compose_mounts_what_exists(tmp_path: Path) -> None:
    """Every file comes with the project, or is made by the two commands at the top."""
    subprocess.run([DEPLOY / "redis" / "make-passwords", tmp_path / "secrets"], check=True)
    subprocess.run([DEPLOY / "make-certificates", tmp_path / "secrets" / "tls"], check=True)
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    sources = [mount["source"] for mount in mounts if mount["type"] == "bind"]
    sources += [secret["file"] for secret in COMPOSE["secrets"].values()]

    missing = [it for it in sources if not any((at / it).exists() for at in (DEPLOY, tmp_path))]
    assert missing == []
    volumes = {mount["source"] for mount in mounts if mount["type"] == "volume"}
    assert volumes == set(COMPOSE["volumes"])
    assert all(mount["read_only"] for mount in mounts if mount["type"] == "bind")


def test_compose_settings_are_taken_by_the_service(tmp_path: Path) -> None:
    """A process starts with them, and has the time to drain that it needs."""
    for name in PROCESSES:
        service = SERVICES[name]
        manifests.check_settings(service["environment"], tmp_path / name)
        grace_s = float(service["stop_grace_period"].removesuffix("s"))
        assert grace_s > manifests.patience_s(service["environment"])


@pytest.mark.parametrize("name", SERVICES)
def test_compose_gives_each_service_as_little_as_it_can(name: str) -> None:
    """No capabilities, no new privileges, and no port beyond loopback."""
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_compose_processes_write_nothing_and_are_reached_through_envoy_only() -> None:
    """Their root is read-only, and their networks have no way out."""
    assert len(PROCESSES) >= 2
    for name in PROCESSES:
        assert SERVICES[name]["read_only"] is True
        assert "ports" not in SERVICES[name]
        assert all(COMPOSE["networks"][each]["internal"] for each in SERVICES[name]["networks"])


def test_envoy_knows_the_processes_of_the_compose_file() -> None:
    """The addresses behind Envoy are the names of the services, and its port is the open one."""
    (envoy,) = manifests.read(DEPLOY / "envoy" / "envoy.yaml")
    text = json.dumps(envoy["static_resources"]["clusters"])
    (listener,) = envoy["static_resources"]["listeners"]
    port = listener["address"]["socket_address"]["port_value"]

    assert all(f'"address": "{name}"' in text for name in PROCESSES)
    assert text.count('"port_value": 50051') == len(PROCESSES)
    assert SERVICES["envoy"]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_prometheus_finds_the_processes_of_the_compose_file() -> None:
    """The name that Prometheus asks for is one that all processes have, on a network they share."""
    (prometheus,) = manifests.read(DEPLOY / "prometheus" / "prometheus.yml")
    jobs = {job["job_name"]: job for job in prometheus["scrape_configs"]}
    (asked,) = jobs["leasehold"]["dns_sd_configs"][0]["names"]

    for name in PROCESSES:
        assert asked in SERVICES[name]["networks"]["inside"]["aliases"]
    assert "inside" in SERVICES["prometheus"]["networks"]
