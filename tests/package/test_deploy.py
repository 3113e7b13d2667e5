"""deploy/: manifests that Kubernetes' schemas take, with few rights, commands that exist, and policies that are proved."""

import gzip
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from flowmine.cli import COMMANDS, main
from flowmine.cluster import RESOURCES
from tests.package.deployed import CAPTURE, cluster, content

DEPLOY = CAPTURE.parent
POLICIES = DEPLOY / "networkpolicy.yaml"
COMMAND = ("recommend", "-q", str(CAPTURE), "-n", "flowmine", "--baseline")


def manifests() -> list[tuple[str, dict[str, Any]]]:
    """Return every object of deploy/, with its file's name."""
    return [
        (path.name, value)
        for path in sorted(DEPLOY.glob("*.yaml"))
        if path.name != "github-workflow.yaml"
        for value in yaml.safe_load_all(path.read_text("utf-8"))
    ]


def pods() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield the pod templates: name, metadata and spec."""
    for _, value in manifests():
        if value["kind"] == "CronJob":
            template = value["spec"]["jobTemplate"]["spec"]["template"]
        elif value["kind"] == "Deployment":
            template = value["spec"]["template"]
        else:
            continue
        yield value["metadata"]["name"], template["metadata"], template["spec"]


@pytest.mark.parametrize("version", ["1.28", "1.34"])
def test_manifests_are_what_kubernetes_takes(version: str) -> None:
    """Every object but Cilium's own is valid by the strict schema of Kubernetes, old and new."""
    validate = pytest.importorskip("kubernetes_validate")
    checked = [
        validate.validate(value, version, strict=True)
        for _, value in manifests()
        if "cilium" not in value["apiVersion"]
    ]
    assert [version] * 12 == checked


def test_a_misspelt_field_would_be_found() -> None:
    """The schemas refuse what Kubernetes does not know."""
    validate = pytest.importorskip("kubernetes_validate")
    (_, value), *_ = [each for each in manifests() if each[1]["kind"] == "Deployment"]
    value["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFilesystem"] = True
    with pytest.raises(validate.ValidationError):
        validate.validate(value, "1.34", strict=True)


def test_rights_are_to_list_what_is_read() -> None:
    """The cluster role lists and watches exactly what flowmine ever lists; get is given for two named ConfigMaps only."""
    roles = {
        value["metadata"]["name"]: value
        for _, value in manifests()
        if value["kind"] in ("Role", "ClusterRole")
    }
    given = {
        f"{plural}.{group}" if group else plural: set(rule["verbs"])
        for rule in roles["flowmine"]["rules"]
        for group in rule["apiGroups"]
        for plural in rule["resources"]
    }
    assert {resource.name: {"list", "watch"} for resource in RESOURCES} == given
    more = {
        (*rule["resources"], *rule.get("resourceNames", ())): rule["verbs"]
        for rule in roles["flowmine-doctor"]["rules"]
    }
    assert {
        ("configmaps", "cilium-config", "cilium-flowlog-config"): ["get"],
        ("daemonsets",): ["list"],
    } == more


def test_pods_are_restricted() -> None:
    """No pod runs as root, writes its own files, or keeps a capability; only those that ask the cluster get a token."""
    found = {name: spec for name, _, spec in pods()}
    assert {"recommend", "recommend-files", "tail"} == set(found)
    for spec in found.values():
        (container,) = spec["containers"]
        assert {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        } == container["securityContext"]
        assert (True, "RuntimeDefault") == (
            spec["securityContext"]["runAsNonRoot"],
            spec["securityContext"]["seccompProfile"]["type"],
        )
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            each["name"] for each in spec["volumes"]
        }
        assert ("--from-cluster" in container["args"]) == spec["automountServiceAccountToken"]


def test_pods_run_commands_that_exist() -> None:
    """Every pod's line names a command and options that flowmine has, and the port that its policy opens."""
    for _, _, spec in pods():
        name, *args = spec["containers"][0]["args"]
        assert name in COMMANDS
        help_text = CliRunner().invoke(main, [name, "--help"]).stdout
        for option in (arg for arg in args if arg.startswith("--")):
            assert re.search(rf"{option}\b", help_text), option


def test_the_capture_can_be_made_again() -> None:
    """deploy/capture.jsonl.gz is what the generator records of the deployed cluster, to the byte."""
    assert content() == gzip.decompress(CAPTURE.read_bytes())


def test_the_recorded_pods_are_the_deployed_ones() -> None:
    """What was recorded has the labels that the manifests give their pods, so that the policies select them."""
    own = {w.name: dict(w.labels) for w in cluster().workloads if w.namespace == "flowmine"}
    assert own == {name: metadata["labels"] for name, metadata, _ in pods()}


def test_the_policies_are_made_by_flowmine(update_goldens: bool) -> None:
    """deploy/networkpolicy.yaml is what the documented command writes, to the byte, and what Cilium takes."""
    made = CliRunner().invoke(main, list(COMMAND)).stdout
    if update_goldens:
        POLICIES.write_text(made, encoding="utf-8")
    assert made == POLICIES.read_text("utf-8")
    assert 0 == CliRunner().invoke(main, ["validate", str(POLICIES)]).exit_code


def judged(*questions: tuple[str, str, str]) -> list[bool]:
    """Return what the engine says under the policies of deploy/: from whom, to whom, at which port."""
    ask = ["verdict", "--policies", str(POLICIES)]
    return [
        0 == CliRunner().invoke(main, [*ask, "--from", source, "--to", target, "--port", port]).exit_code
        for source, target, port in questions
    ]


def test_the_policies_are_proved() -> None:
    """By the engine, what flowmine's pods need goes through, and nothing else that is tried."""
    own = "flowmine/app.kubernetes.io/name=flowmine,app.kubernetes.io/component="
    tail, job, files = f"{own}tail", f"{own}recommend", f"{own}recommend-files"
    relay, dns = "kube-system/k8s-app=hubble-relay", "kube-system/k8s-app=kube-dns"
    prometheus = "monitoring/app.kubernetes.io/name=prometheus"
    needed = (
        (tail, relay, "4245/TCP"),
        (job, relay, "4245/TCP"),
        (tail, dns, "53/UDP"),
        (job, dns, "53/UDP"),
        (prometheus, tail, "9466/TCP"),
    )
    refused = (
        (tail, relay, "4244/TCP"),
        (tail, prometheus, "9090/TCP"),
        (relay, tail, "9466/TCP"),
        (prometheus, job, "9466/TCP"),
        (files, relay, "4245/TCP"),
        (tail, job, "80/TCP"),
    )
    assert [True] * len(needed) == judged(*needed)
    assert [False] * len(refused) == judged(*refused)
    assert (
        0 == CliRunner().invoke(main, ["simulate", "-q", str(CAPTURE), "--policies", str(POLICIES)]).exit_code
    )


def test_the_image_is_of_no_root_and_pinned() -> None:
    """The Dockerfile pins its base, installs wheels of the core and k8s, and ends as a numbered user without root."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    bases = re.findall(r"^FROM (\S+)", text, re.M)
    assert 2 == len(bases) and all(re.fullmatch(r"python:3\.1[1-4]\.\d+-slim-\w+", base) for base in bases)
    assert ["10001:10001"] == re.findall(r"^USER (\S+)$", text, re.M)
    assert "'.[k8s]'" in text and 'ENTRYPOINT ["flowmine"]' in text
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M):
        assert all((DEPLOY.parent / name).exists() for name in source.split())
