"""Commands that ask a cluster for the policies in force: the same answers as from files, and errors in one line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flowmine.cli import main
from tests.cli.events import capture, drop, record
from tests.cluster_api.apiserver import ApiServer, kubeconfig, serving, status

CNP = "/apis/cilium.io/v2/ciliumnetworkpolicies"
CLOSED: dict[str, Any] = {
    "metadata": {
        "name": "closed",
        "namespace": "shop",
        "resourceVersion": "3",
        "managedFields": [{"manager": "x"}],
    },
    "spec": {
        "endpointSelector": {"matchLabels": {"app": "web"}},
        "egress": [{"toEndpoints": [{"matchLabels": {"app": "api"}}]}],
    },
    "status": {"conditions": []},
}


def run(*args: str) -> Result:
    """Run flowmine."""
    return CliRunner().invoke(main, list(args))


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with serving(ApiServer({CNP: [CLOSED], "/apis/networking.k8s.io/v1/networkpolicies": []})) as running:
        yield running


@pytest.fixture
def flows(tmp_path: Path) -> str:
    """Web reaches api, and is dropped on its way out."""
    first = record(1, traffic_direction="EGRESS", trace_observation_point="TO_STACK")
    return capture(tmp_path / "flows.jsonl", first, record(2), drop(3))


@pytest.fixture
def config(server: ApiServer, tmp_path: Path) -> str:
    return str(kubeconfig(tmp_path, server.url))


@pytest.fixture
def files(tmp_path: Path) -> str:
    """The same policy in a file."""
    path = tmp_path / "policies.json"
    manifest = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", **CLOSED, "status": {}}
    path.write_text(json.dumps(manifest))
    return str(path)


def test_drops_are_asked_of_the_cluster(flows: str, config: str, files: str) -> None:
    """The cluster's policy is named as the one that closes, as when it comes from a file."""
    ours = run("drops", flows, "--from-cluster", "--kubeconfig", config)
    theirs = run("drops", flows, "--policies", files)
    assert (1, theirs.stdout) == (ours.exit_code, ours.stdout)
    told = run("drops", flows, "--from-cluster", "--kubeconfig", config, "-o", "json").stdout
    assert "CiliumNetworkPolicy/shop/closed" in told


def test_a_simulation_is_against_the_cluster(flows: str, config: str, files: str, tmp_path: Path) -> None:
    """What is newly denied is so by comparison with what the cluster has in force."""
    tried = tmp_path / "tried.json"
    tried.write_text(Path(files).read_text().replace('"app": "api"', '"app": "db"'))
    ours = run("simulate", flows, "--policies", str(tried), "--from-cluster", "--kubeconfig", config)
    theirs = run("simulate", flows, "--policies", str(tried), "--against", files)
    assert (1, theirs.stdout) == (ours.exit_code, ours.stdout)
    assert "denied" in ours.stdout


@pytest.mark.parametrize("command", ["drops", "simulate"])
def test_a_missing_right_ends_the_command_with_a_line(
    command: str, flows: str, config: str, files: str, server: ApiServer
) -> None:
    """403 is exit 2 and one line that names the right."""
    server.always[CNP] = (403, status(403, "forbidden"))
    more = ("--policies", files) if command == "simulate" else ()
    result = run(command, flows, *more, "--from-cluster", "--kubeconfig", config, "-q")
    assert (2, 1) == (result.exit_code, len(result.stderr.splitlines()))
    assert (
        "the right to list ciliumnetworkpolicies.cilium.io over the whole cluster is missing" in result.stderr
    )


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("drops", "--context", "kind"), "give --from-cluster too"),
        (("drops", "--kubeconfig", "x"), "give --from-cluster too"),
        (
            ("drops", "--policies", "FILES", "--from-cluster"),
            "--policies and --from-cluster contradict each other",
        ),
        (
            ("simulate", "--policies", "FILES", "--against", "FILES", "--from-cluster"),
            "--against and --from-cluster contradict each other",
        ),
        (("drops", "--from-cluster", "--kubeconfig", "CONFIG", "--context", "prod"), "(known: away, kind)"),
    ],
)
def test_options_that_contradict_each_other_are_told(
    args: tuple[str, ...], told: str, flows: str, files: str, config: str
) -> None:
    """Contradictions and unknown contexts are exit 2 and one line."""
    named = {"FILES": files, "CONFIG": config}
    result = run(args[0], flows, *(named.get(arg, arg) for arg in args[1:]), "-q")
    assert 2 == result.exit_code
    assert told in result.stderr and 1 == len(result.stderr.splitlines())
