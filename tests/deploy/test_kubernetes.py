"""deploy/kubernetes, as far as it can be judged without a cluster."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.deploy import manifests
from tests.deploy.deployed_store import DEPLOY

KUBERNETES = DEPLOY / "kubernetes"
BASE, MONITORING = KUBERNETES / "base", KUBERNETES / "monitoring"
PRODUCTION = KUBERNETES / "overlays" / "production"
LABELS = {"app.kubernetes.io/name": "leasehold"}
# The oldest that is still looked after, and the newest that the schemas know.
VERSIONS = ("1.33", "1.37")


def folder(path: Path) -> dict[str, Any]:
    """Return the kustomization of a folder."""
    (kustomization,) = manifests.read(path / "kustomization.yaml")
    return kustomization


def resources(path: Path) -> list[dict[str, Any]]:
    """Return the resources that a folder itself has."""
    files = [path / name for name in folder(path)["resources"] if name.endswith(".yaml")]
    return [resource for file in files for resource in manifests.read(file)]


def resource(kind: str, path: Path = BASE) -> dict[str, Any]:
    """Return the one resource of a kind."""
    (found,) = [it for it in resources(path) if it["kind"] == kind]
    return found


def settings(*folders: Path) -> dict[str, str]:
    """Return the settings of a ConfigMap that later folders add to."""
    return dict(
        literal.split("=", 1)
        for path in folders
        for generator in folder(path).get("configMapGenerator", [])
        for literal in generator["literals"]
    )


DEPLOYMENT = resource("Deployment")["spec"]
POD = DEPLOYMENT["template"]["spec"]
(CONTAINER,) = POD["containers"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", [BASE, PRODUCTION], ids=lambda path: path.name)
def test_manifests_have_the_form_that_kubernetes_takes(path: Path, version: str) -> None:
    """Every field exists and holds what it may; misspelt ones are refused."""
    for each in resources(path):
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("path", [BASE, MONITORING, PRODUCTION], ids=lambda path: path.name)
def test_kustomizations_take_in_every_file_that_is_there(path: Path) -> None:
    """Each resource, patch and component exists, and no file lies about unused."""
    found = folder(path)
    patches = [patch["path"] for patch in found.get("patches", [])]
    named = [*found["resources"], *found.get("components", []), *patches]

    assert [name for name in named if not (path / name).exists()] == []
    files = {file.name for file in path.glob("*.yaml")} - {"kustomization.yaml"}
    assert files == {name for name in named if name.endswith(".yaml")}


def test_overlay_is_built_by_kustomize_into_manifests_that_kubernetes_takes() -> None:
    """The patches fit: what comes out is valid, secure and asks by TLS."""
    kubectl = shutil.which("kubectl")
    if not kubectl:
        pytest.skip("no kubectl on this machine")
    built = subprocess.run(
        [kubectl, "kustomize", PRODUCTION], check=True, capture_output=True, text=True, timeout=60
    )
    found = list(yaml.safe_load_all(built.stdout))
    of_operator = ("ServiceMonitor", "PrometheusRule")
    for each in found:
        if each["kind"] not in of_operator:
            kubernetes_validate.validate(each, VERSIONS[-1], strict=True)

    by_name = {(it["kind"], it["metadata"]["name"].split("-")[0]): it for it in found}
    (container,) = by_name["Deployment", "leasehold"]["spec"]["template"]["spec"]["containers"]
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    assert {container[probe]["httpGet"]["scheme"] for probe in probes} == {"HTTPS"}
    assert {container[probe]["httpGet"]["port"] for probe in probes} == {"ops"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {"store", "tls", "partners"}
    assert {it["kind"] for it in found} >= set(of_operator)


def test_production_settings_are_taken_by_the_service(tmp_path: Path) -> None:
    """A process starts with them: TLS for partners and ops, strict inventory, Sentinels."""
    wanted = settings(BASE, PRODUCTION)
    manifests.check_settings(wanted, tmp_path)

    assert "LEASEHOLD_ALLOW_PLAINTEXT" not in wanted
    assert wanted["LEASEHOLD_INVENTORY"] == "strict"
    mounts = [
        mount["mountPath"]
        for patch in manifests.read(PRODUCTION / "certificates.yaml")
        for mount in patch["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    ]
    files = [value for value in wanted.values() if value.startswith("/run/")]
    assert [it for it in files if not it.startswith(tuple(mounts))] == []


def test_base_alone_does_not_start_a_process_that_listens_to_anybody() -> None:
    """Without certificates or a word that says so, the service refuses: an overlay decides."""
    with pytest.raises(AssertionError, match="beyond loopback without TLS"):
        manifests.check_settings(settings(BASE), Path("unused"))


def test_pods_may_do_nothing_that_they_need_not() -> None:
    """Not root, a root nobody writes to, no capabilities, no token of the cluster's."""
    assert POD["automountServiceAccountToken"] is False
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = CONTAINER["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_pods_have_the_time_to_drain() -> None:
    """What the service takes to end fits into what Kubernetes gives, with room to spare."""
    for folders in ([BASE], [BASE, PRODUCTION]):
        needed_s = manifests.patience_s(settings(*folders))
        assert POD["terminationGracePeriodSeconds"] >= needed_s + 5
    assert "lifecycle" not in CONTAINER


def test_probes_follow_the_process_and_not_the_store() -> None:
    """Liveness is the event loop, so that an outage of the store restarts nothing."""
    paths = {
        probe: CONTAINER[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }


def test_everything_selects_the_pods() -> None:
    """Service, budget, policy, spread and the deployment itself mean the same pods."""
    assert DEPLOYMENT["template"]["metadata"]["labels"] == LABELS
    assert DEPLOYMENT["selector"] == {"matchLabels": LABELS}
    assert resource("Service")["spec"]["selector"] == LABELS
    assert resource("Service", PRODUCTION)["spec"]["selector"] == LABELS
    assert resource("PodDisruptionBudget")["spec"]["selector"] == {"matchLabels": LABELS}
    assert resource("NetworkPolicy")["spec"]["podSelector"] == {"matchLabels": LABELS}
    spread = POD["topologySpreadConstraints"]
    assert all(each["labelSelector"] == {"matchLabels": LABELS} for each in spread)
    target = resource("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == resource("Deployment")["metadata"]["name"]


def test_ports_have_the_numbers_that_the_settings_say() -> None:
    """A name in a Service, a policy or a monitor leads to where the process listens."""
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    base = settings(BASE)

    assert base["LEASEHOLD_LISTEN"].endswith(f":{ports['grpc']}")
    assert base["LEASEHOLD_OPS_LISTEN"].endswith(f":{ports['ops']}")
    assert {it["targetPort"] for it in resource("Service")["spec"]["ports"]} == set(ports)
    monitor = resource("ServiceMonitor", MONITORING)["spec"]
    assert monitor["selector"] == {"matchLabels": LABELS}
    assert {endpoint["port"] for endpoint in monitor["endpoints"]} == {"ops"}


def test_prometheus_operator_gets_the_rules_of_prometheus() -> None:
    """Both are told the same; `make rules` writes the one from the other."""
    wanted = [
        group
        for name in ("rules.yml", "alerts.yml")
        for document in manifests.read(DEPLOY / "prometheus" / name)
        for group in document["groups"]
    ]
    assert resource("PrometheusRule", MONITORING)["spec"]["groups"] == wanted
