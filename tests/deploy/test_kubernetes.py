"""deploy/kubernetes, as far as it can be judged without a cluster."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.deploy import kustomize, manifests
from tests.deploy.deployed_store import DEPLOY

KUBERNETES = DEPLOY / "kubernetes"
BASE, MONITORING = KUBERNETES / "base", KUBERNETES / "monitoring"
PRODUCTION, MONITORED = (KUBERNETES / "overlays" / name for name in ("production", "monitored"))
LABELS = {"app.kubernetes.io/name": "leasehold"}
# The oldest that is still looked after, and the newest that the schemas know.
VERSIONS = ("1.33", "1.37")


def resources(path: Path) -> list[dict[str, Any]]:
    """Return the resources that a folder itself has."""
    files = [path / name for name in kustomize.folder(path)["resources"] if name.endswith(".yaml")]
    return [resource for file in files for resource in manifests.read(file)]


def resource(kind: str, path: Path = BASE) -> dict[str, Any]:
    """Return the one resource of a kind."""
    (found,) = [it for it in resources(path) if it["kind"] == kind]
    return found


def built(kind: str, name: str, path: Path = PRODUCTION) -> dict[str, Any]:
    """Return a resource as an overlay has it."""
    (found,) = [
        it for it in kustomize.build(path) if (it["kind"], it["metadata"]["name"]) == (kind, name)
    ]
    return found


def settings(*folders: Path) -> dict[str, str]:
    """Return the settings of a ConfigMap that later folders add to."""
    return dict(
        literal.split("=", 1)
        for path in folders
        for generator in kustomize.folder(path).get("configMapGenerator", [])
        for literal in generator["literals"]
    )


DEPLOYMENT = resource("Deployment")["spec"]
POD = DEPLOYMENT["template"]["spec"]
(CONTAINER,) = POD["containers"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", [BASE, PRODUCTION], ids=lambda path: path.name)
def test_manifests_have_the_form_that_kubernetes_takes(path: Path, version: str) -> None:
    """Every field exists and holds what it may; misspelt ones are refused."""
    for each in [*resources(path), *kustomize.build(path)]:
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize(
    "path", [BASE, MONITORING, PRODUCTION, MONITORED], ids=lambda path: path.name
)
def test_kustomizations_take_in_every_file_that_is_there(path: Path) -> None:
    """Each resource, patch and component exists, and no file lies about unused."""
    found = kustomize.folder(path)
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
    done = subprocess.run(
        [kubectl, "kustomize", MONITORED], check=True, capture_output=True, text=True, timeout=60
    )
    found = list(yaml.safe_load_all(done.stdout))
    of_operator = ("ServiceMonitor", "PrometheusRule")
    for each in found:
        if each["kind"] not in of_operator:
            kubernetes_validate.validate(each, VERSIONS[-1], strict=True)

    ours = {it["metadata"]["name"] + it["kind"]: it for it in kustomize.build(MONITORED)}
    for each in (it for it in found if "spec" in it and it["kind"] != "PrometheusRule"):
        assert plain(each) == plain(ours[each["metadata"]["name"] + each["kind"]])
    (deployment,) = [it for it in found if it["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    assert {container[probe]["httpGet"]["scheme"] for probe in probes} == {"HTTPS"}
    assert {container[probe]["httpGet"]["port"] for probe in probes} == {"ops"}
    assert len(container["volumeMounts"]) == len(
        built("Deployment", "leasehold")["spec"]["template"]["spec"]["volumes"]
    )
    assert {it["kind"] for it in found} >= set(of_operator)


def plain(manifest: dict[str, Any]) -> list[str]:
    """Return the lines of a manifest without what kustomize puts in: order, suffixes, the image."""
    text = yaml.safe_dump(manifest["spec"]).replace("example.com/leasehold:0.1.1", "leasehold")
    text = re.sub(r"(name: leasehold(-store)?)-\w{10}$", r"\1", text, flags=re.MULTILINE)
    return sorted(line.replace("- ", "  ") for line in text.splitlines())


def test_production_settings_are_taken_by_the_service(tmp_path: Path) -> None:
    """A process starts with them: TLS for partners and ops, strict inventory, Sentinels."""
    wanted = settings(BASE, PRODUCTION)
    manifests.check_settings(wanted, tmp_path)

    assert "LEASEHOLD_ALLOW_PLAINTEXT" not in wanted
    assert wanted["LEASEHOLD_INVENTORY"] == "strict"
    pod = built("Deployment", "leasehold")["spec"]["template"]["spec"]
    mounts = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
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
    services = [it for it in resources(PRODUCTION) if it["kind"] == "Service"]
    assert [it["spec"]["selector"] for it in services] == [LABELS, LABELS]
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


def test_secrets_are_made_in_the_namespace_of_the_pods_that_mount_them() -> None:
    """The namespace comes first, then each Secret and ConfigMap that a pod mounts, in it."""
    text = (PRODUCTION / "kustomization.yaml").read_text()
    steps = re.findall(r"^#   kubectl (.*)$", text, re.MULTILINE)
    namespace = kustomize.folder(PRODUCTION)["namespace"]
    made = [
        re.fullmatch(
            rf"--namespace {namespace} create (?:\w+ )*?([\w-]+) (--from-\S+|--cert\S+).*", it
        )
        for it in steps[1:-1]
    ]

    assert steps[0].startswith("apply --filename ")
    assert (DEPLOY.parent / steps[0].split()[-1]).read_text().count(f"name: {namespace}") == 1
    assert steps[-1].startswith("apply --kustomize ")
    assert {it[1] for it in made if it} == mounted(
        built("Deployment", "leasehold")["spec"]["template"]["spec"],
        built("CronJob", "leasehold-feed")["spec"]["jobTemplate"]["spec"]["template"]["spec"],
    )
    assert {it["metadata"].get("namespace", namespace) for it in kustomize.build(MONITORED)} == {
        namespace
    }


def test_documents_make_and_change_secrets_in_their_namespace() -> None:
    """No line of a document or manifest leaves it to the reader's context where a Secret goes."""
    texts = [*DEPLOY.rglob("*.yaml"), *(DEPLOY.parent / "docs").glob("*.md")]
    lines = [line for file in texts for line in file.read_text().splitlines()]
    making = [line for line in lines if re.search(r"kubectl.* create (secret|configmap|job)", line)]

    assert len(making) > 4
    assert [line for line in making if "kubectl --namespace leasehold create" not in line] == []


def mounted(*pods: dict[str, Any]) -> set[str]:
    """Return the Secrets and ConfigMaps that are mounted into pods."""
    volumes = [volume for pod in pods for volume in pod["volumes"]]
    secrets = {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
    return secrets | {volume["configMap"]["name"] for volume in volumes if "configMap" in volume}


def test_overlay_without_monitoring_needs_no_prometheus_operator() -> None:
    """Production is made of what every cluster knows; the monitored overlay adds the rest."""
    plain, monitored = (
        {(it["kind"], it["metadata"]["name"]) for it in kustomize.build(path)}
        for path in (PRODUCTION, MONITORED)
    )

    assert monitored - plain == {("ServiceMonitor", "leasehold"), ("PrometheusRule", "leasehold")}
    (endpoint,) = built("ServiceMonitor", "leasehold", MONITORED)["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["scheme"]) == ("ops", "https")


def test_names_are_resolved_by_whichever_server_the_cluster_has() -> None:
    """Each policy of ours lets port 53 out, and OpenShift's, to any address and label."""
    for name in ("leasehold", "leasehold-feed"):
        rules = built("NetworkPolicy", name)["spec"]["egress"]
        (names,) = [it for it in rules if {"port": 53, "protocol": "UDP"} in it["ports"]]
        assert set(names) == {"ports"}
        assert {it["port"] for it in names["ports"]} == {53, 5353}
        assert {it["protocol"] for it in names["ports"]} == {"UDP", "TCP"}


def test_operators_are_let_in_by_label_and_by_no_other_policy() -> None:
    """The listener has a Service of its own, and its port is open to labelled pods alone."""
    pod = built("Deployment", "leasehold")["spec"]["template"]["spec"]
    ports = {it["name"]: it["containerPort"] for it in pod["containers"][0]["ports"]}
    listen = settings(BASE, PRODUCTION)["LEASEHOLD_OPERATOR_LISTEN"]
    assert listen == f"0.0.0.0:{ports['operators']}"
    (port,) = built("Service", "leasehold-operators")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (ports["operators"], "operators")

    letting_in = [
        rule
        for it in kustomize.build(PRODUCTION)
        if it["kind"] == "NetworkPolicy"
        for rule in it["spec"].get("ingress", [])
        if {"operators", ports["operators"]} & {each["port"] for each in rule["ports"]}
    ]
    only = {"podSelector": {"matchLabels": {"leasehold-operator": "true"}}}
    assert [rule["from"] for rule in letting_in] == [[only]]


def test_alerts_lead_to_the_runbook_by_one_setting(tmp_path: Path) -> None:
    """Every alert has an absolute address; `make rules` puts in another, and keeps it."""
    shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets"))
    shutil.copy(DEPLOY.parent / "Makefile", tmp_path)
    files = ("prometheus/alerts.yml", "kubernetes/monitoring/prometheusrule.yaml")

    def addresses() -> set[str]:
        texts = [(tmp_path / "deploy" / name).read_text() for name in files]
        found = [re.findall(r"runbook_url: (.*)#\w+\n", text) for text in texts]
        assert len(found[0]) == len(found[1]) == texts[0].count("- alert: ")
        return set(found[0] + found[1])

    (given,) = addresses()
    assert given.startswith("https://")
    for words in (["RUNBOOK_URL=https://here.example/runbook"], []):
        subprocess.run(["make", "rules", *words], cwd=tmp_path, check=True, capture_output=True)
        assert addresses() == {"https://here.example/runbook"}
