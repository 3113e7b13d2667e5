"""The filter options: the same line selects what `hubble observe` selects, and what Hubble refuses is refused."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from flowmine.cli.filters import FilteredCommand
from flowmine.errors import UsageError
from flowmine.ingest.filters import EventType, FlowFilter, Header, Interface, Selection, Workload, matcher

SHARED = Path(__file__).parents[3] / "shared"
LINES = SHARED / "hubble-cli" / "filters.jsonl"


def run(*args: str) -> tuple[Result, Selection]:
    """Parse a line with a command that only takes filters."""
    seen: list[Selection] = []

    @click.command(cls=FilteredCommand)
    def command(selection: Selection) -> None:
        seen.append(selection)

    result = CliRunner().invoke(command, args)
    return result, seen[0] if seen else Selection()


def selection(*args: str) -> Selection:
    """The selection of a line that must parse."""
    result, selected = run(*args)
    assert result.exit_code == 0, result.output
    return selected


def refusal(*args: str) -> str:
    """The message of a line that must be refused."""
    result, _ = run(*args)
    if isinstance(result.exception, UsageError):
        return str(result.exception)
    assert result.exit_code == 2, result.output
    return result.output.strip().splitlines()[-1].removeprefix("Error: ")


def chosen(records: list[dict[str, Any]], selected: Selection) -> list[dict[str, Any]]:
    """The records that a selection keeps, in order."""
    matches = matcher(selected)
    kept = [record for record in records if matches(record)]
    kept = kept[: selected.first] if selected.first else kept
    return kept[-selected.last :] if selected.last else kept


@pytest.mark.skipif(not LINES.is_file(), reason="../shared/hubble-cli, Hubble's own answers, is not here")
def test_every_line_selects_what_hubble_selected() -> None:
    """Each recorded line keeps the events that Hubble's own command line printed, in the same order."""
    wire = (SHARED / "wire" / "flows.in.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in wire]
    answers = [json.loads(line) for line in LINES.read_text("utf-8").splitlines()]
    assert len(answers) == 103
    for answer in answers:
        kept = chosen(records, selection(*answer["args"]))
        uuids = [record["flow"].get("uuid", "") for record in kept if "flow" in record]
        assert answer["uuids"] == uuids, answer["args"]


BOTH = [
    (["--pod", "shop/web"], "pod", ("shop/web",)),
    (["-n", "shop"], "pod", ("shop/",)),
    (["-A"], "pod", ("/",)),
    (["-l", "app=web"], "label", ("app=web",)),
    (["--service", "kube-dns"], "service", ("kube-dns",)),
    (["--workload", "web"], "workload", (Workload("web"),)),
    (["--workload", "Deployment/"], "workload", (Workload("", "Deployment"),)),
    (["--identity", "world"], "identity", (2,)),
    (["--identity", "0x10"], "identity", (16,)),
    (["--ip", "10.0.0.0/8", "--ip", "::1"], "ip", ("10.0.0.0/8", "::1")),
    (["--fqdn", "*.io"], "fqdn", ("*.io",)),
    (["--port", "443"], "port", ("443",)),
    (["--cluster", "east"], "cluster_name", ("east",)),
]


@pytest.mark.parametrize(("args", "field", "values"), BOTH)
def test_either_end_makes_two_filters(args: list[str], field: str, values: tuple[Any, ...]) -> None:
    """A filter for either end is one for the source or one for the destination."""
    expected = (FlowFilter(**{f"source_{field}": values}), FlowFilter(**{f"destination_{field}": values}))
    assert expected == selection(*args).allow


@pytest.mark.parametrize("end", ["from", "to"])
@pytest.mark.parametrize(("args", "field", "values"), [case for case in BOTH if case[0][0].startswith("--")])
def test_one_end_makes_one_filter(end: str, args: list[str], field: str, values: tuple[Any, ...]) -> None:
    """The from- and to- forms of a filter say which end is meant."""
    side = "source" if end == "from" else "destination"
    line = [arg.replace("--", f"--{end}-") if arg.startswith("--") else arg for arg in args]
    assert (FlowFilter(**{f"{side}_{field}": values}),) == selection(*line).allow


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--snat-ip", "1.1.1.1"], FlowFilter(source_ip_xlated=("1.1.1.1",))),
        (["-t", "trace:to-endpoint"], FlowFilter(event_type=(EventType(4, 0),))),
        (["-t", "trace:from-crypto"], FlowFilter(event_type=(EventType(4, 12),))),
        (["-t", "l7", "-t", "1:133"], FlowFilter(event_type=(EventType(129), EventType(1, 133)))),
        (["--verdict", "DROPPED", "--verdict", "AUDIT"], FlowFilter(verdict=("DROPPED", "AUDIT"))),
        (["--drop-reason-desc", "POLICY_DENIED"], FlowFilter(drop_reason_desc=("POLICY_DENIED",))),
        (["--traffic-direction", "Ingress"], FlowFilter(traffic_direction=("INGRESS",))),
        (["--tcp-flags", "syn,Ack"], FlowFilter(tcp_flags=(frozenset({"SYN", "ACK"}),))),
        (["--http-header", "a:b:c"], FlowFilter(http_header=(Header("a", "b:c"),))),
        (["-4"], FlowFilter(ip_version=("IPv4",))),
        (["--ipv6", "--ip-version", "none"], FlowFilter(ip_version=("IPv6", "IP_NOT_USED"))),
        (["--encrypted"], FlowFilter(encrypted=(True,))),
        (["--unencrypted"], FlowFilter(encrypted=(False,))),
        (["--interface", "eth0"], FlowFilter(interface=(Interface(name="eth0"),))),
        (
            ["--node-label", "a=b", "--node-name", "k8s*"],
            FlowFilter(node_labels=("a=b",), node_name=("k8s*",)),
        ),
        (["--ip-trace-id", "7"], FlowFilter(ip_trace_id=(7,))),
        (["--trace-id", "x", "--uuid", "y"], FlowFilter(trace_id=("x",), uuid=("y",))),
        (["--from-pod", "a/x", "--to-pod", "b/y"], FlowFilter(source_pod=("a/x",), destination_pod=("b/y",))),
    ],
)
def test_other_filters_make_one(args: list[str], expected: FlowFilter) -> None:
    """A filter that is about no end makes one FlowFilter, repeated values together."""
    assert (expected,) == selection(*args).allow


def test_namespaces_qualify_names_without_one() -> None:
    """A namespace given beside a pod or a Service is that of the name, of every one without."""
    expected = (
        FlowFilter(source_pod=("a/web", "b/web")),
        FlowFilter(destination_pod=("a/web", "b/web")),
    )
    assert expected == selection("-n", "a", "-n", "b", "--pod", "web").allow
    expected = (FlowFilter(source_service=("a/db",)), FlowFilter(destination_service=("a/db",)))
    assert expected == selection("-n", "a", "--service", "db").allow
    assert (FlowFilter(destination_pod=("b/x",)),) == selection("--to-namespace", "b", "--to-pod", "x").allow


def test_not_denies_the_next_filter_alone() -> None:
    """--not turns the one filter after it into a deny filter, wherever it stands."""
    line = ["--verdict", "DROPPED", "--not", "--protocol", "udp", "--verdict", "AUDIT", "--not", "-4"]
    selected = selection(*line)
    assert (FlowFilter(verdict=("DROPPED", "AUDIT")),) == selected.allow
    assert (FlowFilter(protocol=("udp",), ip_version=("IPv4",)),) == selected.deny


def test_not_denies_either_end() -> None:
    """A negated filter for either end denies events that match at the source and at the destination."""
    assert (FlowFilter(source_pod=("shop/",)), FlowFilter(destination_pod=("shop/",))) == selection(
        "--not", "-n", "shop"
    ).deny


def test_raw_filters_add_to_the_lists() -> None:
    """--allowlist and --denylist take FlowFilters as JSON, several in one text, whatever --not says."""
    selected = selection(
        "--allowlist", '{"source_pod":["a/b"]} {"verdict":[2]}', "--denylist", '{"reply":[true]}', "-6"
    )
    assert (
        FlowFilter(ip_version=("IPv6",)),
        FlowFilter(source_pod=("a/b",)),
        FlowFilter(verdict=("DROPPED",)),
    ) == selected.allow
    assert (FlowFilter(reply=(True,)),) == selected.deny


def test_no_filter_is_everything() -> None:
    """Without filters, and with --all, nothing is left out: the default of the last 20 is for servers."""
    assert selection().everything
    assert selection("--all").everything


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--pod", "a/x", "--from-pod", "a/y"], "filters --from-pod and --pod cannot be combined"),
        (["--ip", "1.1.1.1", "-n", "a"], "filters --namespace and --ip cannot be combined"),
        (["--to-pod", "a/x", "-n", "a"], "filters --namespace and --to-pod cannot be combined"),
        (["--encrypted", "--unencrypted"], "filters --unencrypted and --encrypted cannot be combined"),
        (["-n", "a", "--pod", "b/x"], "namespace conflict: namespace 'a' and 'b/x' exclude each other"),
        (["--pod", "a/x", "--service", "b/y"], "namespace conflict: pod 'a/x' and 'b/y' exclude each other"),
        (["--not", "--not", "-4"], "--not twice in a row"),
        (["-4", "--not"], "--not has no filter after it"),
        (["--first", "1", "--last", "1"], "cannot set both --first and --last"),
        (["--first", "1", "--all"], "cannot set both --first and --all"),
        (["--last", "1", "--all"], "cannot set both --last and --all"),
        (["--last", "1000001"], "--last must be at most 1000000, not 1000001"),
        (["--traffic-direction", "up"], "'up' is no traffic direction: ingress or egress"),
        (["--http-header", "x"], "'x' is no HTTP header: write name:value"),
        (["--ip-trace-id", "0"], "an IP trace identifier is a number above 0"),
        (["--ip", "1.1.1"], "'1.1.1' is no IP address"),
        (["--ip", "1.1.1.1/33"], "'1.1.1.1/33' is no CIDR"),
        (["--port", "http"], "'http' is no port: a number from 0 to 65535"),
        (["--port", "65536"], "'65536' is no port: a number from 0 to 65535"),
        (["--since", "yesterday"], "'yesterday' is no point in time"),
        (["--http-status", "600"], "'600' is no HTTP status"),
        (["--http-path", "("], "one of '(' is no RE2 regular expression"),
        (["--http-path", "x", "-t", "drop"], "a filter by http_path needs --type l7"),
        (["--verdict", "dropped"], "'dropped' is no verdict (known: "),
        (["--drop-reason-desc", "X"], "'X' is no drop reason (known: "),
        (["--tcp-flags", "syn,x"], "unknown TCP flag 'X' (known: FIN, SYN"),
        (["--type", "x"], "'x' is no event type (known: drop, "),
        (["--type", "trace:x"], "'x' is no subtype of trace events (known: "),
        (["--type", "drop:x"], "'x' is no subtype of drop events (a number)"),
        (["--identity", "x"], "'x' is no security identity (host, "),
        (["--protocol", "x"], "unknown protocol 'x' (known: icmp, "),
        (["--label", "a in"], "'a in' is no label selector: cannot read 'a in'"),
        (["--fqdn", "a b"], "'a b' is no name pattern: ' ' is not"),
        (["--node-name", "a/b/c"], "'a/b/c' is no node name pattern: write [cluster/]node"),
        (["--cluster", ""], "an empty cluster name"),
        (["--pod", ""], "an empty pod or service name"),
        (["--allowlist", "{"], "'{' is no flow filter: "),
        (["--allowlist", '{"x":[]}'], "'{\"x\":[]}' is no flow filter: unknown field x (known: "),
        (["--cel-expression", "_flow."], "'_flow.' is no CEL expression: "),
        (["--cel-expression", "_flow.nosuch == 1"], "'_flow.nosuch == 1' does not fit a flow: "),
        (
            ["--cel-expression", "_flow.uuid"],
            "'_flow.uuid' gives StringType, where a filter needs true or false",
        ),
    ],
)
def test_what_hubble_refuses_is_refused(args: list[str], message: str) -> None:
    """A line that makes no sense is refused before anything is read, with a sentence."""
    assert refusal(*args)[: len(message)] == message


def test_pasted_lines_that_follow_are_taken() -> None:
    """--follow selects all; what becomes of it is told where the input is opened."""
    assert selection("-f").everything


def test_help_lists_filters_apart() -> None:
    """The help names the filters under a heading of their own, with their short forms."""
    result, _ = run("--help")
    own, _, filters = result.output.partition("Filters, as in `hubble observe`:")
    assert "--help" in own
    assert "-n, --namespace" in filters
    assert "--to-fqdn" in filters
