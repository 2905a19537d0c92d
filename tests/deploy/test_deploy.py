"""What is deployed holds together: images, compose, Kubernetes, proxy, alerts, dashboard; checked without an engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics
from tests.conftest import ROOT

DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
MANIFESTS = sorted(path for path in (DOCKER / "k8s").glob("*.yaml") if path.name != "kustomization.yaml")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfiles_are_clean(dockerfile: Path) -> None:
    """hadolint finds nothing, not even a matter of style."""
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, dockerfile], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_images_run_as_nobody_and_copy_what_exists(dockerfile: Path) -> None:
    """The last user is no root, and every COPY source is in the tree and let through by .dockerignore."""
    text = dockerfile.read_text()
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE)[-1] == "10001:0"
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE):
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in let_through


def test_the_service_image_has_no_torch() -> None:
    """Its pins hold neither torch nor what only training needs, and each carries a hash."""
    pins = (ROOT / "requirements" / "service.txt").read_text()
    names = set(re.findall(r"^([a-z0-9._-]+)==", pins, re.MULTILINE))
    assert not names & {"torch", "pandas", "wfdb", "neurokit2", "matplotlib", "scikit-learn", "onnx"}
    assert pins.count("==") <= pins.count("--hash=sha256:")


def test_compose_is_hardened() -> None:
    """Every container: a pinned image, a read-only root, no capabilities, no new privileges; no secret in the file."""
    for name, service in COMPOSE["services"].items():
        assert re.search(r":v?\d+\.\d+", service["image"]), name
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        for variable, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|SECRET|TOKEN", variable) or variable.endswith("_FILE"), (name, value)


def test_compose_mounts_what_exists() -> None:
    """Volumes, networks and secrets are declared, mounted files are in the tree, secrets are made by the script."""
    script = (DOCKER / "make_secrets.sh").read_text()
    for name, service in COMPOSE["services"].items():
        for network in service["networks"]:
            assert network in COMPOSE["networks"], name
        for secret in service.get("secrets", []):
            assert Path(COMPOSE["secrets"][secret]["file"]).name in script
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], mount


def test_only_the_proxy_is_reached_from_outside() -> None:
    """The database, the service and Prometheus stay on the inner network; operators' pages listen on loopback alone."""
    assert COMPOSE["networks"]["inside"]["internal"]
    for name, service in COMPOSE["services"].items():
        for port in service.get("ports", []):
            assert name == "nginx" or port.startswith("127.0.0.1:"), name
    assert "ports" not in COMPOSE["services"]["service"]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_manifests_fit_the_api(manifest: Path) -> None:
    """Each manifest is valid against the schemas of the Kubernetes API, unknown fields included."""
    tool = Path(sys.executable).with_name("kubernetes-validate")
    found = subprocess.run([tool, "--strict", manifest], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_manifests_know_each_other() -> None:
    """Kustomize lists every file, and every selector finds the pods of the deployment."""
    listed = yaml.safe_load((DOCKER / "k8s" / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == [path.name for path in MANIFESTS]
    by_kind = {document["kind"]: document for path in MANIFESTS for document in [yaml.safe_load(path.read_text())]}
    labels = by_kind["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    assert by_kind["Service"]["spec"]["selector"].items() <= labels
    assert by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels
    assert by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items() <= labels
    assert by_kind["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "ecg"


def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    """nginx itself reads the file, with a certificate of the kind that `make secrets` makes."""
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if nginx is None:
        pytest.skip("nginx is not installed")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*words, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    text = (DOCKER / "nginx" / "nginx.conf").read_text()
    text = text.replace("/run/secrets/tls_certificate", str(certificate)).replace("/run/secrets/tls_key", str(key))
    # Debian's nginx is older than the image's and names HTTP/2 otherwise; the host `service` exists in compose alone.
    text = text.replace("http2 on;", "").replace("server service:8000", "server 127.0.0.1:8000")
    (tmp_path / "nginx.conf").write_text(text)
    found = subprocess.run([nginx, "-t", "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.fixture(scope="module")
def exposed() -> set[str]:
    """Every sample name that a fresh service exposes, histogram parts included."""
    text = Metrics().exposition().decode()
    names = {family.name for family in text_string_to_metric_families(text)}
    return names | {f"{name}{part}" for name in names for part in ("_total", "_bucket", "_sum", "_count")}


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\becg_[a-z_]+", expression))


def test_alerts_watch_metrics_that_exist(exposed: set[str]) -> None:
    """A rule on a metric that nobody exposes would never fire."""
    rules = yaml.safe_load((DOCKER / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
    assert rules
    for rule in rules:
        assert metrics_in(rule["expr"]) <= exposed, rule["alert"]


def test_the_dashboard_draws_metrics_that_exist(exposed: set[str]) -> None:
    """Every panel has a query, and every query a metric of the service."""
    dashboard = json.loads((DOCKER / "grafana" / "dashboards" / "ecg.json").read_text())
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert metrics_in(target["expr"]), panel["title"]
            assert metrics_in(target["expr"]) <= exposed, panel["title"]


def test_prometheus_accepts_its_rules() -> None:
    """promtool, where it is installed, parses every expression."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    found = subprocess.run(
        [promtool, "check", "rules", DOCKER / "prometheus" / "alerts.yml"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_secrets_are_made_once(tmp_path: Path) -> None:
    """The script fills an empty tree with what compose names, closed to others; a second run replaces nothing."""
    for name in ("docker", "service", "ecg", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name) if name != "docker" else (tmp_path / name).mkdir()
    script = shutil.copy(DOCKER / "make_secrets.sh", tmp_path / "docker")
    folder = tmp_path / "docker" / "secrets"
    subprocess.run(["bash", script], check=True, capture_output=True)
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    subprocess.run(["bash", script], check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert set(first) == {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert folder.stat().st_mode & 0o077 == 0
