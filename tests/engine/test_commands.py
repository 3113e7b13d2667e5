"""`flowmine verdict` and `flowmine trace`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowmine.cli import main
from tests.engine.making import peer, pod, policy, ports, query

WEB = policy(
    "web",
    "web",
    ingress=[{"fromEndpoints": [peer("front")], "toPorts": ports(80, rules={"http": [{"path": "/x"}]})}],
    egress=[{"toFQDNs": [{"matchName": "api.example.com"}], "toPorts": ports(443)}],
)


@pytest.fixture
def policies(tmp_path: Path) -> str:
    """A folder with one policy."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "web.json").write_text(json.dumps(WEB))
    return str(tmp_path / "policies")


def run(*words: str, stdin: str = "") -> Result:
    """Run the command line."""
    return CliRunner().invoke(main, list(words), input=stdin)


def test_an_allowed_connection_exits_0(policies: str) -> None:
    """The verdict is told with both sides and what decided them."""
    result = run(
        "verdict",
        "-p",
        policies,
        "--from",
        "shop/app=front",
        "--to",
        "shop/app=web",
        "--port",
        "80/TCP",
        "--http",
        "GET /x",
    )
    assert (result.exit_code, result.stdout) == (
        0,
        "allowed, HTTP request allowed\n  egress: no-policy\n  ingress: allowed by CiliumNetworkPolicy/shop/web, through the http proxy\n",
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--from", "shop/app=back", "--to", "shop/app=web", "--port", "80/TCP"),
        ("--from", "shop/app=front", "--to", "shop/app=web", "--port", "80/TCP", "--http", "GET /y"),
        ("--from", "shop/app=web", "--to", "world", "--port", "443/TCP"),
        ("--from", "a=b", "--to", "c=d", "--port", "80", "--enforcement", "always"),
    ],
)
def test_a_denied_connection_or_request_exits_1(policies: str, words: tuple[str, ...]) -> None:
    """A denial is a finding, of the ports or of the request."""
    assert run("verdict", "-p", policies, *words).exit_code == 1


def test_a_name_that_was_learned_opens_the_address(policies: str) -> None:
    """fqdn:NAME is an address for which that name was learned."""
    words = (
        "--from",
        "shop/app=web",
        "--to",
        "192.0.2.1,fqdn:api.example.com",
        "--port",
        "443/TCP",
        "-o",
        "json",
    )
    assert json.loads(run("verdict", "-p", policies, *words).stdout)["egress"] == "allowed"


def test_queries_are_judged_line_by_line(policies: str) -> None:
    """Each line of a file or of stdin gets one line of JSON, in order."""
    asked = [query(pod("front"), pod("web")), query(pod("back"), pod("web"))]
    result = run(
        "verdict", "-p", policies, "--queries", "-", "-o", "json", stdin="\n".join(map(json.dumps, asked))
    )
    assert [json.loads(line)["verdict"] for line in result.stdout.splitlines()] == ["allowed", "denied"]
    assert result.exit_code == 1


def test_queries_as_text_are_numbered(policies: str) -> None:
    """Without -o json every verdict is printed under its number."""
    result = run(
        "verdict", "-p", policies, "--queries", "-", stdin=json.dumps(query(pod("front"), pod("web")))
    )
    assert result.stdout.splitlines()[0] == "1: allowed"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "shop/app=web", "--to", "world"), "needs --from, --to and --port"),
        (("--from", "shop/web-1", "--to", "world", "--port", "443"), "--capture"),
        (("--queries", "-", "--port", "443"), "cannot be given together"),
        (("--from", "a=b", "--to", "c=d", "--port", "80", "--header", "X: y"), "give --http too"),
        (("--from", "a=b", "--to", "c=d", "--port", "80", "--set", "ipv6"), "OPTION=VALUE"),
        (("--from", "a=b", "--to", "c=d", "--port", "80", "--set", "ipv6=maybe"), "ipv6 is 'maybe'"),
        (("--queries", "nowhere.jsonl"), "nowhere.jsonl: cannot be read"),
    ],
)
def test_a_wrong_option_exits_2_with_one_line(policies: str, words: tuple[str, ...], told: str) -> None:
    """What cannot be asked is a usage error, on stderr."""
    result = run("verdict", "-p", policies, *words)
    assert (result.exit_code, told in result.stderr, result.stdout) == (2, True, "")


def test_a_line_that_is_no_query_is_named(policies: str) -> None:
    """The file and the line are in the message."""
    result = run("verdict", "-p", policies, "--queries", "-", stdin="\nnonsense\n")
    assert (result.exit_code, "-:2: not a JSON object" in result.stderr) == (2, True)


def test_a_policy_without_effect_is_told_on_stderr(policies: str) -> None:
    """Refused policies and other objects are named; the rest judges."""
    Path(policies, "broken.json").write_text(
        json.dumps(policy("broken", "web", ingress=[{"fromCIDR": ["10.1/16"]}]))
    )
    Path(policies, "service.json").write_text(
        '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}'
    )
    result = run(
        "verdict", "-p", policies, "--from", "shop/app=front", "--to", "shop/app=web", "--port", "80"
    )
    assert (result.exit_code, "no effect: " in result.stderr, "Service web passed over" in result.stderr) == (
        0,
        True,
        True,
    )


def test_a_folder_without_policies_is_an_error(tmp_path: Path) -> None:
    """An empty folder is not taken for a cluster that allows everything."""
    result = run("verdict", "-p", str(tmp_path), "--from", "a=b", "--to", "c=d", "--port", "80")
    assert (result.exit_code, "there is no policy here" in result.stderr) == (2, True)


def test_a_trace_is_text_or_json(policies: str) -> None:
    """Both forms tell the same decision, and a denial is no failure of the command."""
    words = ("trace", "-p", policies, "--from", "shop/app=back", "--to", "shop/app=web", "--port", "80")
    text, data = run(*words), run(*words, "-o", "json")
    assert (text.exit_code, data.exit_code) == (0, 0)
    assert "app=front (found: k8s:app=back)" in text.stdout
    assert json.loads(data.stdout)["ingress"]["outcome"] == "denied"


def test_pods_are_looked_up_in_captures(policies: str, tmp_path: Path) -> None:
    """NS/POD and NS/WORKLOAD are the labels that a capture shows, and its cluster is the one that is judged."""
    end = {
        "ID": 1,
        "identity": 3001,
        "cluster_name": "east",
        "namespace": "shop",
        "labels": [
            "k8s:app=front",
            "k8s:io.cilium.k8s.policy.cluster=east",
            "k8s:io.kubernetes.pod.namespace=shop",
        ],
        "pod_name": "front-5d4f-x2x",
        "workloads": [{"name": "front", "kind": "Deployment"}],
    }
    other = {
        **end,
        "ID": 2,
        "identity": 3002,
        "pod_name": "web-7c9-aaa",
        "workloads": [{"name": "web", "kind": "Deployment"}],
    }
    other["labels"] = [label.replace("app=front", "app=web") for label in end["labels"]]  # type: ignore[attr-defined]
    flow = {
        "time": "2026-01-01T00:00:00Z",
        "uuid": "0b5c9b7e-0000-4000-8000-000000000001",
        "verdict": "FORWARDED",
        "IP": {"source": "10.0.0.1", "destination": "10.0.0.2", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 80, "flags": {"SYN": True}}},
        "source": end,
        "destination": other,
        "Type": "L3_L4",
        "node_name": "east/node-1",
        "event_type": {"type": 4},
        "traffic_direction": "INGRESS",
        "trace_observation_point": "TO_ENDPOINT",
        "is_reply": False,
    }
    capture = tmp_path / "flows.jsonl"
    capture.write_text(json.dumps({"flow": flow}) + "\n")
    words = ("--from", "shop/front-5d4f-x2x", "--to", "shop/web", "--port", "80", "--capture", str(capture))
    result = run("verdict", "-p", policies, *words)
    assert (result.exit_code, "ingress: allowed by CiliumNetworkPolicy/shop/web" in result.stdout) == (
        0,
        True,
    )


def test_an_unknown_pod_is_told(policies: str, tmp_path: Path) -> None:
    """A name that no capture holds is a usage error."""
    (tmp_path / "flows.jsonl").write_text("")
    words = (
        "--from",
        "shop/front",
        "--to",
        "world",
        "--port",
        "80",
        "--capture",
        str(tmp_path / "flows.jsonl"),
    )
    result = run("verdict", "-p", policies, *words)
    assert result.exit_code == 2
