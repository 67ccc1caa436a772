"""What kustomize makes of a folder, as far as deploy/kubernetes uses it: no name gets a suffix."""

from pathlib import Path
from typing import Any

from tests.deploy import manifests

Manifest = dict[str, Any]

_KEYS = {
    "containers": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
}
"""The lists whose items a strategic merge knows by a key; it replaces every other list."""


def folder(path: Path) -> Manifest:
    """Return the kustomization of a folder."""
    (found,) = manifests.read(path / "kustomization.yaml")
    return found


def build(path: Path, below: tuple[Manifest, ...] = ()) -> list[Manifest]:
    """Return the manifests of a folder, patched, in its namespace."""
    wanted, found = folder(path), [*below]
    for name in wanted.get("resources", []):
        found += build(path / name) if (path / name).is_dir() else manifests.read(path / name)
    for name in wanted.get("components", []):
        found = build(path / name, tuple(found))
    for generator in wanted.get("configMapGenerator", []):
        data = dict(literal.split("=", 1) for literal in generator["literals"])
        made = {"kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}
        if generator.get("behavior") == "merge":
            found = _patched(found, made)
        else:
            found.append({"apiVersion": "v1", **made})
    for patch in wanted.get("patches", []):
        for each in manifests.read(path / patch["path"]):
            found = _patched(found, each)
    namespace = {"namespace": wanted["namespace"]} if "namespace" in wanted else {}
    return [each if each["kind"] == "Namespace" else _in(each, namespace) for each in found]


def _in(manifest: Manifest, namespace: dict[str, str]) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], **namespace}}


def _patched(found: list[Manifest], patch: Manifest) -> list[Manifest]:
    """Patch the one manifest of the same kind and name."""

    def identity(manifest: Manifest) -> tuple[str, str]:
        return manifest["kind"], manifest["metadata"]["name"]

    assert [identity(each) for each in found].count(identity(patch)) == 1, identity(patch)
    return [_merge(each, patch) if identity(each) == identity(patch) else each for each in found]


def _merge(value: Any, patch: Any, name: str = "") -> Any:
    key = _KEYS.get(name)
    if isinstance(value, dict) and isinstance(patch, dict):
        return {**value, **{it: _merge(value.get(it), patch[it], it) for it in patch}}
    if isinstance(value, list) and key and all(key in each for each in (*value, *patch)):
        by_key = {each[key]: each for each in value}
        for each in patch:
            by_key[each[key]] = _merge(by_key.get(each[key]), each)
        return list(by_key.values())
    return patch
