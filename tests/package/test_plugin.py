"""`kubectl flowmine`: found by kubectl, speaking in its name, and reading the cluster that kubectl's options name."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowmine.cli.plugin import kubectl_args
from flowmine.ingest import open_flows
from flowmine.ingest.replay import Replay
from tests.cli.events import capture, record
from tests.cluster_api.apiserver import ApiServer, kubeconfig, serving
from tests.cluster_api.forwarding import Forwarder, forwarding

ROOT = Path(__file__).parents[2]
SERVICE, PODS = "/api/v1/namespaces/kube-system/services/hubble-relay", "/api/v1/namespaces/kube-system/pods"


def script(folder: Path, name: str, call: str) -> Path:
    """Write what pip makes of a console script."""
    path = folder / name
    path.write_text(
        f"#!{sys.executable}\nimport sys; sys.path.insert(0, {str(ROOT)!r})\n"
        f"from flowmine.cli.plugin import {call}; {call}()\n"
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A folder with the plugin in it."""
    made = tmp_path / "bin"
    made.mkdir()
    script(made, "kubectl-flowmine", "main")
    script(made, "kubectl_complete-flowmine", "complete")
    return made


def run(
    plugin: Path, *args: str, program: str = "kubectl-flowmine", **more: str
) -> "subprocess.CompletedProcess[str]":
    """Run the plugin without variables of Hubble's and kubectl's."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HUBBLE_", "KUBE", "XDG_"))
    }
    environment |= {"PATH": f"{plugin}{os.pathsep}{os.environ['PATH']}", "HOME": str(plugin), **more}
    return subprocess.run(
        [program, *args],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Path, Forwarder]]:
    """A cluster behind a kubeconfig whose relay has two flows; its current context leads nowhere, `prod` there."""
    flows = capture(tmp_path / "flows.jsonl", record(1), record(2))
    with Replay(open_flows(flows)) as relay:
        host, _, port = relay.address.rpartition(":")
        pod = {
            "metadata": {"name": "relay-1"},
            "spec": {"containers": [{"ports": [{"name": "grpc", "containerPort": 4222}]}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }
        service = {
            "spec": {"selector": {"k8s-app": "hubble-relay"}, "ports": [{"port": 80, "targetPort": "grpc"}]}
        }
        api = ApiServer(always={SERVICE: (200, service), PODS: (200, {"items": [pod]})})
        with forwarding(Forwarder(api, {"relay-1": (host, int(port))})) as forwarder:
            config = kubeconfig(tmp_path, api.url, context="prod")
            config.write_text(
                config.read_text().replace('"current-context": "prod"', '"current-context": "away"')
            )
            yield config, forwarder


def test_usage_speaks_of_kubectl(plugin: Path) -> None:
    """Help and usage errors name the command as it is typed."""
    assert (
        "Usage: kubectl flowmine recommend [OPTIONS] [INPUT]..." in run(plugin, "recommend", "--help").stdout
    )
    wrong = run(plugin, "recommend", "--no-such-option")
    assert (2, True) == (wrong.returncode, "Usage: kubectl flowmine recommend" in wrong.stderr)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_finds_it(plugin: Path) -> None:
    """kubectl itself runs the plugin, and lists it without a warning."""
    assert "kubectl flowmine" in run(plugin, "flowmine", "--help", program="kubectl").stdout
    listed = run(plugin, "plugin", "list", program="kubectl")
    assert f"{plugin}/kubectl-flowmine" in listed.stdout


def test_the_context_says_whose_relay_is_read(plugin: Path, cluster: tuple[Path, Forwarder]) -> None:
    """Without INPUT the relay of --context is read through its API, as kubectl would reach it; -n says whose policies."""
    config, forwarder = cluster
    line = ("edges", "-q", "--context", "prod", "-o", "json", "-n")
    done, other = (run(plugin, *line, namespace, KUBECONFIG=str(config)) for namespace in ("shop", "other"))
    assert (0, 1) == (done.returncode, len(json.loads(done.stdout))), done.stderr
    assert (0, 0) == (other.returncode, len(json.loads(other.stdout))), other.stderr
    assert ["relay-1"] == [pod for pod, _ in forwarder.streams][:1]
    away = run(plugin, "edges", "-q", KUBECONFIG=str(config))
    assert (2, True) == (away.returncode, "http://127.0.0.1:1" in away.stderr)


def test_a_capture_is_read_whatever_the_context(plugin: Path, tmp_path: Path) -> None:
    """With INPUT no cluster is asked, also where an alias of kubectl always names a context."""
    flows = capture(tmp_path / "flows.jsonl", record(1))
    assert 0 == run(plugin, "edges", "-q", flows, "--context", "nowhere").returncode


def test_the_policies_in_force_are_those_of_the_context(plugin: Path, tmp_path: Path) -> None:
    """With --from-cluster, --context says which cluster's policies are read."""
    flows = capture(tmp_path / "flows.jsonl", record(1))
    paths = ("ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies", "ciliumcidrgroups")
    with serving(ApiServer({f"/apis/cilium.io/v2/{name}": [] for name in paths})) as api:
        config = str(kubeconfig(tmp_path, api.url))
        line = ("drops", "-q", flows, "--from-cluster", f"--kubeconfig={config}")
        assert 0 == run(plugin, *line, "--context", "kind").returncode
        wrong = run(plugin, *line, "--context", "wrong")
    assert (2, True) == (wrong.returncode, "it has no context 'wrong'" in wrong.stderr)


@pytest.mark.parametrize(
    ("args", "before", "expected", "after"),
    [
        (["edges"], {}, ["edges"], {"HUBBLE_PORT_FORWARD": "true"}),
        (["edges", "--server", "x:1"], {}, ["edges", "--server", "x:1"], {}),
        (
            ["edges"],
            {"HUBBLE_SERVER": "x:1"},
            ["edges"],
            {"HUBBLE_SERVER": "x:1", "HUBBLE_PORT_FORWARD": "false"},
        ),
        (
            ["drops", "--from-cluster", "--context=a"],
            {},
            ["drops", "--from-cluster", "--context", "a"],
            {"HUBBLE_KUBE_CONTEXT": "a", "HUBBLE_PORT_FORWARD": "true"},
        ),
        (["drops", "--context"], {}, ["drops", "--context"], {"HUBBLE_PORT_FORWARD": "true"}),
        (
            ["edges", "--", "--context", "a"],
            {},
            ["edges", "--", "--context", "a"],
            {"HUBBLE_PORT_FORWARD": "true"},
        ),
    ],
)
def test_what_kubectls_options_become(
    args: list[str], before: dict[str, str], expected: list[str], after: dict[str, str]
) -> None:
    """Options of kubectl become the variables that Hubble knows; a named server is not forwarded to."""
    environment = dict(before)
    assert (expected, after) == (kubectl_args(args, environment), environment)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["comp"], "completion\tPrint the completion script of a shell.\n:4\n"),
        (["recommend", "--per", "n"], "namespace\n:4\n"),
        (["recommend", "some"], ":0\n"),
    ],
)
def test_kubectl_completes_it(plugin: Path, words: list[str], expected: str) -> None:
    """kubectl's own completion asks kubectl_complete-flowmine: values with their help, and whether files are meant."""
    assert expected == run(plugin, *words, program=str(plugin / "kubectl_complete-flowmine")).stdout
