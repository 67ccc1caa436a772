"""The store by TLS as compose and the production overlay have it, and the feed as both load it."""

import gzip
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from tests.calls import lease_request
from tests.certificates import authority
from tests.deploy import kustomize, manifests
from tests.deploy.deployed_store import DEPLOY, DeployedStore, make_passwords
from tests.servers import free_port
from tests.service import Service, in_a_hundred_days, now_ms, run, serving
from tests.tls import NO_PROXY, NO_RETRIES

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
PRODUCTION = {
    (it["kind"], it["metadata"]["name"]): it
    for it in kustomize.build(DEPLOY / "kubernetes" / "overlays" / "production")
}
LOCAL = {"LISTEN": "127.0.0.1:0", "OPERATOR_LISTEN": "127.0.0.1:0", "OPS_LISTEN": "127.0.0.1:0"}


class SecuredStore(DeployedStore):
    """A store with the options of the compose file; the plain port is for the test's questions."""

    tls_port: int

    @property
    def tls_url(self) -> str:
        """Return the address for the service, without the password."""
        return f"rediss://leasehold@localhost:{self.tls_port}"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What make-certificates makes."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run([DEPLOY / "make-certificates", folder], check=True, timeout=60)
    return folder


@pytest.fixture(scope="module")
def store(certificates: Path) -> Iterator[SecuredStore]:
    """A redis-server that takes the options of compose's `command`."""
    store = SecuredStore("redis7")
    store.secrets, store.tls_port = store.directory / "secrets", free_port()
    make_passwords(store.secrets)
    options = COMPOSE["redis"]["command"].partition("redis.conf")[2]
    assert "--port 0 --tls-port 6379" in options
    store.arguments = tuple(
        options.replace("--port 0 --tls-port 6379", f"--tls-port {store.tls_port}")
        .replace("/etc/redis/tls", str(certificates / "store"))
        .split()
    )
    try:
        store.start()
        yield store
    finally:
        store.__exit__(None, None, None)


@pytest.fixture
def root(store: SecuredStore, certificates: Path, tmp_path: Path) -> Path:
    """A root folder with what Secrets, ConfigMaps and compose mount into `/run`."""
    run_folder = tmp_path / "run" / "leasehold"
    (tmp_path / "run" / "secrets").mkdir(parents=True)
    shutil.copy(store.password_file, tmp_path / "run" / "secrets" / "redis-password")
    shutil.copytree(certificates / "leasehold", run_folder / "tls")
    for name in ("store", "partners", "operators", "feed"):
        (run_folder / name).mkdir()
    shutil.copy(store.password_file, run_folder / "store" / "redis-password")
    shutil.copy(certificates / "authority.crt", run_folder / "store" / "ca.crt")
    shutil.copy(certificates / "authority.crt", run_folder / "partners" / "ca.pem")
    (run_folder / "operators" / "tokens").write_text("a-token-of-the-test\n")
    return tmp_path


def feed(service: str) -> str:
    """Return a feed with the slot of this service that `hold` asks for."""
    slot = request(service).lease.slot
    listed = {
        "merchant_id": slot.merchant_id,
        "service_id": slot.service_id,
        "start_sec": slot.start_time.seconds,
        "duration_sec": slot.duration.seconds,
        "spots_total": 1,
        "spots_open": 1,
    }
    about = {"generation_timestamp": now_ms() // 1000, "shard_number": 0, "total_shards": 1}
    entries = [{"availability": [listed]}]
    return json.dumps({"metadata": about, "service_availability": entries})


def request(service: str) -> Any:
    """Return a request for a slot on a day that is always ahead."""
    start = datetime.fromisoformat(in_a_hundred_days()).replace(tzinfo=UTC)
    made = lease_request(now_ms(), start_s=int(start.timestamp()))
    made.lease.slot.service_id = made.lease.user_reference = service
    return made


def hold(service: Service, certificates: Path, name: str, wanted: Any) -> Any:
    """Ask for a slot with the certificate that is called so, and return the answer."""
    pair = [(certificates / f"{name}.{kind}").read_bytes() for kind in ("key", "crt")]
    authority = (certificates / "authority.crt").read_bytes()
    options = [("grpc.ssl_target_name_override", "leasehold.internal"), NO_PROXY, NO_RETRIES]
    credentials = grpc.ssl_channel_credentials(authority, *pair)
    with grpc.secure_channel(service.address, credentials, options) as channel:
        return pb_grpc.BookingServiceStub(channel).CreateLease(wanted, timeout=10)


def test_compose_store_is_reached_by_tls_and_a_feed_loaded_from_standard_input(
    store: SecuredStore, certificates: Path, root: Path
) -> None:
    """The settings and commands of the compose file load a feed, and hold its slot."""
    process, loader = COMPOSE["leasehold-1"], COMPOSE["load-feed"]
    settings = manifests.placed(process["environment"], root)
    assert (
        settings["REDIS_URL"].replace("redis:6379", f"localhost:{store.tls_port}") == store.tls_url
    )
    settings |= {**LOCAL, "REDIS_URL": store.tls_url}

    loaded = run(*loader["command"], settings=settings, told=feed("by-compose"))
    assert loaded.returncode == 0, loaded.stderr
    with serving(**settings) as service:
        answer = hold(service, certificates, "envoy/envoy", request("by-compose"))
    assert answer.HasField("lease"), answer


def test_store_that_another_authority_signed_is_no_store(
    store: SecuredStore, root: Path, tmp_path: Path
) -> None:
    """The certificate is checked: the same command fails where the authority is another one."""
    other = authority(tmp_path)
    settings = manifests.placed(COMPOSE["load-feed"]["environment"], root)
    settings |= {**LOCAL, "REDIS_URL": store.tls_url, "REDIS_CA_FILE": str(other.ca_file)}

    refused = run("inventory", "load", "-", settings=settings, told=feed("never"))
    assert (refused.returncode, "gave no answer" in refused.stderr) == (3, True)


def test_production_loads_the_feed_by_its_cronjob_and_serves_partners_and_operators(
    store: SecuredStore, certificates: Path, root: Path
) -> None:
    """The job's command with the job's settings; then the pods' settings, by TLS on every way."""
    (container,) = pod("CronJob", "leasehold-feed")["containers"]
    settings = of_production(container, store, root)
    (root / container["args"][-1][1:]).write_bytes(gzip.compress(feed("by-cronjob").encode()))
    words = [str(root / it[1:]) if it.startswith("/run/") else it for it in container["args"]]

    loaded = run(*words, settings=settings)
    assert loaded.returncode == 0, loaded.stderr
    (container,) = pod("Deployment", "leasehold")["containers"]
    # This store is alone and new.
    alone = {**LOCAL, "REPLICA_ACKS": "0", "QUARANTINE": "off"}
    with serving(**{**of_production(container, store, root), **alone}) as service:
        answer = hold(service, certificates, "partner/partner", request("by-cronjob"))
        assert answer.HasField("lease"), answer
        operator = {
            "CLIENT_CA_FILE": str(certificates / "authority.crt"),
            "CLIENT_TOKEN_FILE": str(root / "run/leasehold/operators/tokens"),
            "CLIENT_SERVER_NAME": "leasehold.internal",
        }
        at = ("--address", str(service.told["operator_listen"]))
        shown = run("lease", "get", answer.lease.lease_id, *at, settings=operator)
    assert shown.returncode == 0, shown.stderr


def pod(kind: str, name: str) -> dict[str, Any]:
    """Return what production says of the pods of a workload."""
    spec = PRODUCTION[kind, name]["spec"]
    return dict((spec.get("jobTemplate", {}).get("spec") or spec)["template"]["spec"])


def of_production(container: dict[str, Any], store: SecuredStore, root: Path) -> dict[str, str]:
    """Return the settings of a container, with the test's store in the place of the Sentinels'."""
    maps = [PRODUCTION["ConfigMap", it["configMapRef"]["name"]] for it in container["envFrom"]]
    settings = manifests.placed({k: v for it in maps for k, v in it["data"].items()}, root)
    mounts = [f"{root}{mount['mountPath']}/" for mount in container["volumeMounts"]]
    files = [value for value in settings.values() if value.startswith(str(root))]
    assert [file for file in files if not file.startswith(tuple(mounts))] == []
    assert settings["REDIS_URL"].startswith("rediss+sentinel://leasehold@")
    return {**settings, "REDIS_URL": store.tls_url} | {
        name: value for name, value in LOCAL.items() if name in settings
    }
