"""What `verdict` and `trace` share: which policies judge, and the connection that is asked about."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any

import click

from flowmine.errors import PolicyError, UsageError
from flowmine.labels import CLUSTER_KEY, parse

if TYPE_CHECKING:
    from flowmine.engine.policyset import PolicySet

__all__ = ["Asked", "question_options"]

_OPTIONS = (
    click.option(
        "-p",
        "--policies",
        multiple=True,
        required=True,
        metavar="PATH",
        help="Policies: a file, a folder, or - for stdin. Repeatable.",
    ),
    click.option(
        "--from",
        "source",
        metavar="END",
        help="The source: NS/LABELS, NS/POD, an entity, an address, fqdn:NAME.",
    ),
    click.option("--to", "destination", metavar="END", help="The destination, likewise."),
    click.option("--port", metavar="PORT", help="443/TCP, 53/UDP, or for ICMP the type: 8/ICMP."),
    click.option(
        "--http", metavar="REQUEST", help="A request to judge too: 'GET /x' or 'GET http://host/x'."
    ),
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="TEXT",
        help="A header of the request: 'X-Token: 42'. Repeatable.",
    ),
    click.option("--dns", metavar="NAME", help="A DNS name that is asked for over the connection."),
    click.option(
        "--named-port",
        "named_ports",
        multiple=True,
        metavar="NAME=PORT",
        help="A container port of the destination: http=8080/TCP. Repeatable.",
    ),
    click.option(
        "--capture",
        "captures",
        multiple=True,
        metavar="INPUT",
        help="Captures in which to look up the labels of NS/POD. Repeatable.",
    ),
    click.option(
        "--enforcement",
        type=click.Choice(["default", "always", "never"]),
        default="default",
        show_default=True,
        help="The agents' policy enforcement mode.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="OPTION=VALUE",
        help="An option of the agents, such as ipv6=true or host_firewall=false. Repeatable.",
    ),
)


@dataclass(frozen=True)
class Asked:
    """The options of one question."""

    policies: tuple[str, ...]
    source: str | None
    destination: str | None
    port: str | None
    http: str | None
    headers: tuple[str, ...]
    dns: str | None
    named_ports: tuple[str, ...]
    captures: tuple[str, ...]
    enforcement: str
    settings: tuple[str, ...]
    _clusters: set[str] = field(default_factory=set, repr=False)

    def load(self) -> "PolicySet":
        """Load the policies; say on stderr which have no effect, and what was passed over.

        Raise PolicyError where a path cannot be read or holds no policy at all, UsageError where an option is wrong.
        """
        from flowmine.engine.policyset import PolicySet

        settings = dict(map(_setting, self.settings))
        if self._clusters and "cluster_name" not in settings:
            settings["cluster_name"] = self._own_cluster()
        loaded = PolicySet.load(*self.policies, enforcement=self.enforcement, config=settings)
        for problem in loaded.problems():
            click.echo(f"no effect: {problem}", err=True)
        for skipped in loaded.skipped:
            click.echo(f"{skipped.where}: {skipped.what} passed over: {skipped.reason}", err=True)
        if not (loaded.policies or loaded.problems()):
            raise PolicyError(f"{' '.join(self.policies)}: there is no policy here; check the path")
        return loaded

    @property
    def given(self) -> bool:
        """Whether a question was asked by options at all."""
        return any(
            (self.source, self.destination, self.port, self.http, self.headers, self.dns, self.named_ports)
        )

    def query(self) -> dict[str, Any]:
        """Return the question as a query. Raise UsageError where an option is missing or means nothing."""
        from flowmine.engine.question import end, http_request, port

        if not (self.source and self.destination and self.port):
            raise UsageError("a question needs --from, --to and --port")
        if self.headers and not self.http:
            raise UsageError("--header is part of a request; give --http too")
        number, protocol = port(self.port)
        query: dict[str, Any] = {
            "src": end(self.source, self._labels_of),
            "dst": end(self.destination, self._labels_of, self.named_ports),
            "protocol": protocol,
            "port": number,
        }
        if self.http:
            query["http"] = http_request(self.http, self.headers)
        if self.dns:
            query["dns"] = {"query": self.dns}
        return query

    def _own_cluster(self) -> str:
        """Return the cluster that the pods looked up in captures are of: its policies are the ones that judge."""
        if len(self._clusters) > 1:
            raise UsageError(
                f"the pods are of the clusters {', '.join(sorted(self._clusters))}; say with --set cluster_name=NAME "
                f"whose policies these are"
            )
        return next(iter(self._clusters))

    def _labels_of(self, namespace: str, name: str) -> list[str]:
        if not self.captures:
            raise UsageError(
                f"{namespace}/{name}: policies know pods by labels only; write {namespace}/KEY=VALUE, or name with "
                f"--capture a capture in which the pod is seen"
            )
        found = self._pods.get((namespace, name))
        if found is None:
            raise UsageError(f"{namespace}/{name} is in none of the captures; write its labels instead")
        self._clusters.update(label.value for label in map(parse, found) if label.key == CLUSTER_KEY)
        return found

    @cached_property
    def _pods(self) -> dict[tuple[str, str], list[str]]:
        """The labels of every pod and workload of the captures, by namespace and name."""
        from flowmine.ingest import open_flows

        source = open_flows(*self.captures)
        for _ in source.batches():
            pass
        ends = {row["id"]: row for row in source.endpoints.to_pylist()}
        found: dict[tuple[str, str], list[str]] = {}
        for row in source.pods.to_pylist():
            labels = ends[row["endpoint"]]["labels"]
            workload = (row["workload"] or "").rpartition("/")[2]
            for name in filter(None, (workload, row["pod_name"])):
                found[row["namespace"], name] = labels
        return found


def question_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a question; it gets them as one `Asked`, first."""

    @wraps(function)
    def asked(**options: Any) -> Any:
        own = {each.name: options.pop(each.name) for each in fields(Asked) if each.name in options}
        return function(Asked(**own), **options)

    wrapped: Callable[..., Any] = asked
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text!r}: write OPTION=VALUE, such as ipv6=true")
    return name.strip().replace("-", "_"), {"true": True, "false": False}.get(value.lower(), value)
