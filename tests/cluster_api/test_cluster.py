"""Reading a cluster: lists page by page with nothing but list rights, and every failure as one clear sentence."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowmine.cluster import Cluster, ClusterEndpoint, cluster_name, connect
from flowmine.errors import FlowmineError, UsageError
from tests.cluster_api.apiserver import ApiServer, kubeconfig, serving, status
from tests.cluster_api.recorded import LISTS

CNP = "/apis/cilium.io/v2/ciliumnetworkpolicies"
CCNP = "/apis/cilium.io/v2/ciliumclusterwidenetworkpolicies"
GROUPS = "/apis/cilium.io/v2/ciliumcidrgroups"
LOOPBACK = (Path(__file__).with_name("loopback.crt"), Path(__file__).with_name("loopback.key"))
"""A certificate for 127.0.0.1 that signs itself, and its key: of use to nobody else."""


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the environment's own proxies, kubeconfig and pod out of the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with serving(ApiServer(LISTS)) as running:
        yield running


@pytest.fixture
def cluster(server: ApiServer, tmp_path: Path) -> Cluster:
    return connect(kubeconfig(tmp_path, server.url))


def said(call: Any, *args: Any, **options: Any) -> str:
    """Return the message with which a call refuses."""
    with pytest.raises(FlowmineError) as caught:
        call(*args, **options)
    return str(caught.value)


def test_policies_in_force_are_read_and_judge(cluster: Cluster) -> None:
    """All kinds of policy and the CIDR groups come from the cluster, and the engine judges by them."""
    policies = cluster.policy_set()
    assert [] == policies.problems()
    assert [
        "CiliumClusterwideNetworkPolicy//no-metadata-service",
        "CiliumNetworkPolicy/shop/api",
        "CiliumNetworkPolicy/shop/cart",
        "CiliumNetworkPolicy/shop/db",
        "CiliumNetworkPolicy/shop/mail",
        "CiliumNetworkPolicy/shop/pay",
        "NetworkPolicy/lab/isolated",
    ] == sorted(each.ref for each in policies.policies)

    def pod(app: str) -> dict[str, Any]:
        return {"labels": [f"k8s:app={app}", "k8s:io.kubernetes.pod.namespace=shop"]}

    outside = {"labels": ["reserved:world"], "ip": "169.254.169.254"}
    asked = [(pod("web"), pod("db")), (pod("api"), pod("db")), (pod("web"), outside)]
    answers = policies.verdicts(
        {"src": source, "dst": target, "protocol": "TCP", "port": 80} for source, target in asked
    )
    assert ["allowed", "denied", "denied"] == [each["verdict"] for each in answers]


def test_only_lists_are_asked_for_with_the_users_token(cluster: Cluster, server: ApiServer) -> None:
    """Whatever is read, the server sees GETs of whole lists alone: no watch, no single object, no discovery."""
    cluster.policies(), cluster.namespaces(), cluster.identities(), cluster.endpoints()
    assert sorted(LISTS) == sorted(path for path, _ in server.requests)
    assert {"GET"} == server.methods
    assert {"Bearer t0ken"} == server.tokens
    assert {"limit"} == {name for _, query in server.requests for name in query}


def test_pages_are_put_together(cluster: Cluster, server: ApiServer) -> None:
    """A list in pages of two is the same as the list in one piece, and every page but the first continues the last."""
    whole = cluster.policies()
    server.page = 2
    server.requests.clear()
    assert whole == cluster.policies()
    asked = [query.get("continue") for path, query in server.requests if path == CNP]
    assert [None, "2", "4"] == asked


def test_a_list_that_grew_too_old_is_begun_again(cluster: Cluster, server: ApiServer) -> None:
    """After 410 Gone in the middle the list is read from its start, so that no object is there twice or missing."""
    whole = cluster.policies()
    server.page = 2
    server.requests.clear()
    gone = (410, status(410, "The provided continue parameter is too old"))
    answers = [server.answer(CNP, {}), gone]
    server.failures[CNP] = answers
    assert whole == cluster.policies()
    asked = [query.get("continue") for path, query in server.requests if path == CNP]
    assert [None, "2", None, "2", "4"] == asked


def test_a_list_that_always_grows_too_old_is_read_in_one_piece(cluster: Cluster, server: ApiServer) -> None:
    """When pages keep growing too old the list is asked for without a limit, and if even that is Gone it is said."""
    gone = (410, status(410, "too old"))
    server.failures[CNP] = [gone] * 3
    assert 5 == len([each for each in cluster.policies() if each["kind"] == "CiliumNetworkPolicy"])
    limits = [query.get("limit") for path, query in server.requests if path == CNP]
    assert ["500", "500", "500", None] == limits
    server.always[CNP] = gone
    assert "ciliumnetworkpolicies.cilium.io grew too old before it was read (410), 4 times" in said(
        cluster.policies
    )


def test_a_missing_right_is_named(cluster: Cluster, server: ApiServer) -> None:
    """403 says which right is missing, what the server said, and what to ask for."""
    message = 'ciliumidentities.cilium.io is forbidden: User "reader" cannot list resource'
    server.always["/apis/cilium.io/v2/ciliumidentities"] = (403, status(403, message))
    assert (
        f"{server.url}: the right to list ciliumidentities.cilium.io over the whole cluster is missing "
        f'(403: {message}); ask for a ClusterRole with apiGroups ["cilium.io"], resources ["ciliumidentities"], '
        'verbs ["list"]'
    ) == said(cluster.identities)
    assert 7 == len(cluster.policy_set().policies)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            (401, status(401, "Unauthorized")),
            "the credentials are not taken (401: Unauthorized); log in again",
        ),
        ((401, b""), "the credentials are not taken (401); log in again"),
        (
            (500, status(500, "etcd is down")),
            "cannot list ciliumnetworkpolicies.cilium.io (500 Internal Server",
        ),
        ((200, b"<html>log in</html>"), "the answer is no JSON; is this an API server?"),
        ((200, []), "the answer is no list of ciliumnetworkpolicies.cilium.io; is this an API server?"),
        ((200, {"kind": "APIVersions"}), "the answer is no list of ciliumnetworkpolicies.cilium.io"),
        ((200, {"items": [{"spec": {}}]}), "the answer is no list of ciliumnetworkpolicies.cilium.io"),
        ((302, b""), "cannot list ciliumnetworkpolicies.cilium.io (302"),
    ],
)
def test_what_is_no_list_is_told(
    cluster: Cluster, server: ApiServer, answer: tuple[int, Any], expected: str
) -> None:
    """Refused credentials, a broken server and something that is no API server are each told in a sentence."""
    server.always[CNP] = answer
    told = said(cluster.policies)
    assert told.startswith(f"{server.url}: {expected}")
    assert "\n" not in told and "t0ken" not in told


def test_a_server_that_asks_for_patience_is_asked_again(cluster: Cluster, server: ApiServer) -> None:
    """429 and 503 are tried again a few times before they are told."""
    busy = (429, status(429, "too many requests"))
    server.failures[CNP] = [busy, (503, status(503, "starting"))]
    assert 5 == len([each for each in cluster.policies() if each["kind"] == "CiliumNetworkPolicy"])
    server.always[CNP] = busy
    assert "(429 Too Many Requests: too many requests); try again later" in said(cluster.policies)


def test_kinds_that_a_cluster_does_not_serve_have_no_objects(server: ApiServer, tmp_path: Path) -> None:
    """Without the definitions of clusterwide policies, CIDR groups, identities and endpoints the rest is read."""
    server.lists = {
        path: LISTS[path] for path in LISTS if path.endswith(("networkpolicies", "ciliumnetworkpolicies"))
    }
    server.lists.pop(CCNP)
    cluster = connect(kubeconfig(tmp_path, server.url))
    assert {"CiliumNetworkPolicy": 5, "NetworkPolicy": 1} == {
        kind: sum(each["kind"] == kind for each in cluster.policies())
        for kind in ("CiliumNetworkPolicy", "NetworkPolicy")
    }
    assert {} == cluster.identities()
    assert () == cluster.endpoints()


def test_a_cluster_without_cilium_is_told(server: ApiServer, tmp_path: Path) -> None:
    """A cluster that knows neither of Cilium's kinds of policy is the wrong one, and it is said how to choose another."""
    server.lists = {path: items for path, items in LISTS.items() if "cilium" not in path}
    told = said(connect(kubeconfig(tmp_path, server.url)).policies)
    assert "the cluster knows no ciliumnetworkpolicies.cilium.io (404): Cilium is not installed there" in told


def test_older_cidr_groups_are_read_too(server: ApiServer, tmp_path: Path) -> None:
    """Where CIDR groups are served as v2alpha1 only, as before Cilium 1.18, they are read from there."""
    old = GROUPS.replace("/v2/", "/v2alpha1/")
    server.lists = {old if path == GROUPS else path: items for path, items in LISTS.items()}
    policies = connect(kubeconfig(tmp_path, server.url)).policy_set()
    assert ["metadata"] == [group.name for group in policies.groups]


def test_namespaces_identities_and_endpoints_come_as_values(cluster: Cluster) -> None:
    """Namespaces have their labels, identities theirs as texts, endpoints also addresses and named ports."""
    assert {"lab": {}, "shop": {"team": "sales"}} == cluster.namespaces()
    labels = ("k8s:app=web", "k8s:io.cilium.k8s.policy.cluster=east", "k8s:io.kubernetes.pod.namespace=shop")
    identities = cluster.identities()
    assert {21234, 21235} == set(identities)
    assert labels == identities[21234]
    assert "k8s:canary=" in identities[21235]
    assert "east" == cluster_name(identities.values())
    starting, web = cluster.endpoints()
    assert ClusterEndpoint("shop", "api-starting", 0, (), (), {}) == starting
    assert (
        ClusterEndpoint(
            "shop", "web-7d9f8b6c5d-x2x4z", 21234, labels, ("10.0.1.7", "fd00::17"), {"http": "8080/TCP"}
        )
        == web
    )


def test_a_context_is_chosen_by_name(server: ApiServer, tmp_path: Path) -> None:
    """The current context counts unless one is named; one that is not there is told with those that are."""
    path = kubeconfig(tmp_path, server.url)
    assert server.url == connect(path).host
    assert "http://127.0.0.1:1" == connect(path, "away").host
    assert f"{path}: it has no context 'prod' (known: away, kind)" == said(connect, path, "prod")


def test_a_kubeconfig_without_a_current_context_asks_for_one(server: ApiServer, tmp_path: Path) -> None:
    """Where no context is current the message lists those to choose from."""
    path = kubeconfig(tmp_path, server.url)
    path.write_text(path.read_text().replace('"current-context": "kind"', '"current-context": ""'))
    told = said(connect, path)
    assert told.startswith(f"{path}: no cluster is chosen (")
    assert told.endswith("choose with --context one of away, kind")
    assert server.url == connect(path, "kind").host


def test_the_environment_names_the_kubeconfig(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """$KUBECONFIG counts, several files too; without it ~/.kube/config does."""
    path = kubeconfig(tmp_path, server.url)
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}{os.pathsep}{path}")
    assert server.url == connect().host
    monkeypatch.delenv("KUBECONFIG")
    home = tmp_path / "home" / ".kube"
    home.mkdir(parents=True)
    path.rename(home / "config")
    assert server.url == connect().host


@pytest.mark.parametrize("text", ["", "[]", "a: [", "clusters: 3\ncontexts: 4\n", "\x00"])
def test_what_is_no_kubeconfig_is_told(tmp_path: Path, text: str) -> None:
    """An empty, broken or different file is a sentence that names it, not a traceback."""
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(UsageError, match=str(path)) as caught:
        connect(path)
    assert "\n" not in str(caught.value)


def test_a_kubeconfig_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A missing file is told with the option that names another."""
    path = tmp_path / "none"
    assert f"{path}: there is no kubeconfig; name one with --kubeconfig" == said(connect, path)
    assert said(connect).endswith(".kube/config: there is no kubeconfig; name one with --kubeconfig")


def test_an_api_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A refused connection is one sentence with the address."""
    told = said(connect(kubeconfig(tmp_path, "http://127.0.0.1:1")).policies)
    assert told.startswith("http://127.0.0.1:1: the API server cannot be reached (")
    assert "refused" in told and told.endswith("; check the network and the context")


def test_tls_is_verified(tmp_path: Path) -> None:
    """A server whose certificate the kubeconfig's authority signed is read, any other is refused with the reason."""
    with serving(ApiServer(LISTS), LOOPBACK) as server:
        trusted = kubeconfig(tmp_path, server.url, **{"certificate-authority": str(LOOPBACK[0])})
        assert 7 == len(connect(trusted).policy_set().policies)
        told = said(connect(kubeconfig(tmp_path, server.url)).policies)
    assert told.startswith(f"{server.url}: no trusted TLS connection (self-signed certificate")


def test_a_server_without_tls_behind_https_is_told(server: ApiServer, tmp_path: Path) -> None:
    """An https address at which nobody speaks TLS is told as such."""
    url = server.url.replace("http:", "https:")
    assert said(connect(kubeconfig(tmp_path, url)).policies).startswith(f"{url}: no trusted TLS connection (")


def test_inside_a_pod_its_own_cluster_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any kubeconfig a pod reads its own cluster by its service account; without one it is told."""
    with serving(ApiServer(LISTS), LOOPBACK) as server:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", server.url.rpartition(":")[2])
        assert "this pod has no service account to use" in said(connect, secrets=tmp_path / "none")
        (tmp_path / "token").write_text("p0d")
        (tmp_path / "ca.crt").write_bytes(LOOPBACK[0].read_bytes())
        cluster = connect(secrets=tmp_path)
        assert server.url == cluster.host
        assert 7 == len(cluster.policy_set().policies)
    assert {"bearer p0d"} == server.tokens


def test_without_the_client_the_extra_is_named() -> None:
    """Where the Kubernetes client is not installed the message says how to install it; importing flowmine needs it not."""
    program = (
        "import sys; sys.modules['kubernetes'] = None\n"
        "from flowmine.cluster import connect\n"
        "try: connect()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (
        "UsageError reading a cluster needs the Kubernetes client: pip install 'flowmine[k8s]'\n"
        == done.stdout
    )


def test_a_refused_policy_of_the_cluster_is_told_and_has_no_effect(server: ApiServer, tmp_path: Path) -> None:
    """What Cilium itself would not enforce is a problem of the set, not an error of reading."""
    bad = {
        "metadata": {"name": "bad", "namespace": "shop"},
        "spec": {"endpointSelector": {}, "ingress": [{"fromCIDR": ["172.224.3/32"]}]},
    }
    server.lists = {**LISTS, CNP: [bad]}
    policies = connect(kubeconfig(tmp_path, server.url)).policy_set()
    assert ["CiliumNetworkPolicy/shop/bad"] == [each.policy for each in policies.problems()]
