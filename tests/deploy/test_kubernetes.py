"""Manifests for Kubernetes and KServe: schemas, the profile "restricted", the server's facts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .manifests import DEPLOY, check_arguments, documents, open_routes, stop_time_s, tool

FOLDER = DEPLOY / "kubernetes"
FILES = sorted(FOLDER.rglob("*.yaml"))
KUSTOMIZATIONS = [file for file in FILES if file.name == "kustomization.yaml"]
OVERLAYS = sorted((FOLDER / "overlays").iterdir())
PREDICTOR = DEPLOY / "kserve" / "inferenceservice.yaml"
# Their schemas come with their operators, not with Kubernetes.
CUSTOM = {"Certificate", "PrometheusRule", "ServiceMonitor", "InferenceService"}


def validate(resource: dict[str, Any]) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    newest = kubernetes_validate.latest_version()
    kubernetes_validate.validate(resource, newest, strict=True)


def rendered(overlay: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [tool("kubectl"), "kustomize", str(overlay)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def one(resources: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [resource for resource in resources if resource["kind"] == kind]
    return found


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if file not in KUSTOMIZATIONS],
    ids=lambda file: str(file.relative_to(FOLDER)),
)
def test_each_file_is_what_kubernetes_takes(file: Path) -> None:
    (resource,) = documents(file)
    assert file.stem == resource["kind"].lower()
    assert resource["metadata"]["name"] == "tunesmith"
    if resource["kind"] not in CUSTOM:
        validate(resource)


@pytest.mark.parametrize(
    "file", KUSTOMIZATIONS, ids=lambda file: str(file.parent.relative_to(FOLDER))
)
def test_each_folder_takes_in_all_of_its_files(file: Path) -> None:
    (found,) = documents(file)
    named = [*found.get("resources", ()), *found.get("components", ())]
    assert all((file.parent / name).exists() for name in named)
    own = {other.name for other in file.parent.glob("*.yaml")} - {file.name}
    assert own <= set(named)
    component = found["kind"] == "Component"
    assert component == (file.parent.parent.name == "components")


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda overlay: overlay.name)
def test_overlays_are_what_kubernetes_takes(overlay: Path) -> None:
    resources = rendered(overlay)
    for resource in resources:
        if resource["kind"] not in CUSTOM:
            validate(resource)
        if resource["kind"] != "Namespace":
            assert resource["metadata"]["namespace"] == "tunesmith"
    deployment = one(resources, "Deployment")
    assert "replicas" not in deployment["spec"], "it would undo what the autoscaler chose"
    pod = deployment["spec"]["template"]["spec"]
    check_pod(pod, baked=("/bundle",))
    (port,) = one(resources, "Service")["spec"]["ports"]
    assert port["targetPort"] == pod["containers"][0]["ports"][0]["name"] == port["appProtocol"]
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    for selector in selectors(resources):
        assert selector.items() <= labels


def selectors(resources: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    for resource in resources:
        spec = resource.get("spec", {})
        match resource["kind"]:
            case "Deployment" | "PodDisruptionBudget":
                yield spec["selector"]["matchLabels"]
            case "Service":
                yield spec["selector"]
            case "NetworkPolicy":
                yield spec["podSelector"]["matchLabels"]


def check_pod(pod: dict[str, Any], baked: tuple[str, ...] = ()) -> None:
    """The profile "restricted", and what is true of this server."""
    validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": pod})
    (container,) = pod["containers"]
    own, shared = container["securityContext"], pod["securityContext"]
    assert shared["runAsNonRoot"] is own["runAsNonRoot"] is True
    assert shared["runAsUser"] > 0 and shared["fsGroup"] > 0
    assert shared["seccompProfile"] == own["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert own["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert container["resources"]["limits"] == container["resources"]["requests"]
    check_volumes(pod, container)
    mounted = dict.fromkeys(baked, True) | {
        mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]
    }
    assert mounted.pop("/tmp") is False
    found = check_arguments(container["args"], mounted)
    check_probes(container, found["port"], "HTTP" if found["insecure"] else "HTTPS")
    waits = container["lifecycle"]["preStop"]["sleep"]["seconds"] + stop_time_s()
    assert pod["terminationGracePeriodSeconds"] > waits


def check_volumes(pod: dict[str, Any], container: dict[str, Any]) -> None:
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    assert not any("subPath" in mount for mount in container["volumeMounts"])
    for volume in volumes.values():
        assert not {"hostPath"} & set(volume)
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] == 0o440


def check_probes(container: dict[str, Any], listens: int, scheme: str) -> None:
    (port,) = container["ports"]
    assert port["containerPort"] == listens
    paths = {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    for name, path in paths.items():
        asked = container[name]["httpGet"]
        assert asked["path"] == path
        assert path in open_routes()
        assert asked["port"] in (port.get("name"), listens)
        assert asked.get("scheme", "HTTP") == scheme
        assert {"name": "Host", "value": "localhost"} in asked["httpHeaders"]


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda overlay: overlay.name)
def test_only_what_says_so_goes_without_tls(overlay: Path) -> None:
    arguments = one(rendered(overlay), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert ("--insecure" in arguments["args"]) == (overlay.name == "behind-proxy")


def test_production_is_closed_and_steady() -> None:
    resources = rendered(FOLDER / "overlays" / "production")
    labels = one(resources, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    policy = one(resources, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    assert all(rule["from"] and rule["ports"] for rule in policy["ingress"])
    scaler = one(resources, "HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"]["name"] == one(resources, "Deployment")["metadata"]["name"]
    disruption = one(resources, "PodDisruptionBudget")["spec"]
    assert scaler["minReplicas"] > disruption["maxUnavailable"]


def test_prometheus_finds_the_server_and_trusts_its_certificate() -> None:
    resources = rendered(FOLDER / "overlays" / "production")
    monitor, service = one(resources, "ServiceMonitor")["spec"], one(resources, "Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] == service["spec"]["ports"][0]["name"]
    certificate = one(resources, "Certificate")["spec"]
    assert endpoint["tlsConfig"]["serverName"] in certificate["dnsNames"]
    assert endpoint["tlsConfig"]["ca"]["secret"]["name"] == certificate["secretName"]
    secrets = [
        volume["secret"]["secretName"]
        for volume in one(resources, "Deployment")["spec"]["template"]["spec"]["volumes"]
        if "secret" in volume
    ]
    assert certificate["secretName"] in secrets


def test_a_bundle_on_a_volume(tmp_path: Path) -> None:
    for name in ("base", "components"):
        (tmp_path / name).symlink_to(FOLDER / name, target_is_directory=True)
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(
        "resources: [../base]\ncomponents: [../components/bundle-volume]\n"
    )
    check_pod(one(rendered(overlay), "Deployment")["spec"]["template"]["spec"])


def test_kserve() -> None:
    (service,) = documents(PREDICTOR)
    assert service["apiVersion"] == "serving.kserve.io/v1beta1"
    assert service["kind"] == "InferenceService"
    own = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget"}
    predictor = service["spec"]["predictor"]
    assert own < set(predictor)
    pod = {name: value for name, value in predictor.items() if name not in own}
    (container,) = pod["containers"]
    assert container["name"] == "kserve-container"
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    assert variables["STORAGE_URI"].startswith("pvc://")
    assert variables["PROTOCOL"] == "v2"
    check_pod(pod, baked=("/mnt/models",))
