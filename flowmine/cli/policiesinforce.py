"""The options by which a command is told of policies: files or the cluster's own, and how the agents are set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from flowmine.errors import PolicyError, UsageError

if TYPE_CHECKING:
    from flowmine.advise.inforce import InForce
    from flowmine.cli.fromcluster import FromCluster
    from flowmine.edges import Edges
    from flowmine.engine.party import NamedPort
    from flowmine.policy.codec import Unknown
    from flowmine.policy.files import Document

__all__ = ["Agents", "Written", "agent_options"]

_OPTIONS = (
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
        help="An option of the agents, such as ipv6=true, or cluster_name=NAME: whose policies they are. Repeatable.",
    ),
    click.option(
        "--named-port",
        "named_ports",
        multiple=True,
        metavar="NAME=PORT",
        help="What container ports are called, which flows do not tell: http=8080/TCP. Repeatable.",
    ),
)


@dataclass(frozen=True, slots=True)
class Written:
    """Policies as they are written: their documents, the texts of their files, and what becomes of unknown fields."""

    documents: "tuple[Document, ...]" = ()
    texts: dict[str, str] = field(default_factory=dict)
    unknown: "Unknown" = "error"


@dataclass(frozen=True, slots=True)
class Agents:
    """How the agents that enforce policies are set."""

    enforcement: str = "default"
    settings: tuple[str, ...] = ()
    named_ports: tuple[str, ...] = ()

    def read(self, paths: Sequence[str], cluster: "FromCluster | None" = None) -> "Written | None":
        """Return the policies of paths, or of a cluster, as they are written; None where neither is given.

        Done before a capture is read, so that a wrong path or option is told at once. Say on stderr what was passed over.
        Raise PolicyError where a path cannot be read or holds no policy, UsageError where an option is wrong.
        """
        from flowmine.engine.config import Config
        from flowmine.policy.files import read_texts

        Config.of(self.enforcement, dict(map(_setting, self.settings)))
        self.ports()
        found = _documents(paths, cluster)
        if found is None:
            return None
        unknown: Unknown = "prune" if cluster is not None and cluster.wanted else "error"
        return Written(tuple(found), read_texts(found), unknown)

    def in_force(self, written: "Written", edges: "Edges | None") -> "InForce":
        """Return policies as those of the capture's own cluster. Say on stderr which have no effect."""
        from flowmine.advise.inforce import in_force, own_cluster
        from flowmine.advise.replay import is_dual_stack

        settings = dict(map(_setting, self.settings))
        own, others = own_cluster(edges) if edges is not None else ("", ())
        given = {"ipv6": is_dual_stack(edges), **settings} if edges is not None else settings
        made = in_force(
            written.documents,
            cluster=own,
            enforcement=self.enforcement,
            settings=given,
            unknown=written.unknown,
            named_ports=self.ports(),
        )
        for line in made.ineffective:
            click.echo(f"no effect: {line}", err=True)
        if others and "cluster_name" not in settings:
            click.echo(
                f"policies taken as those of cluster {own}; {', '.join(others)} recorded too (--set cluster_name=NAME)",
                err=True,
            )
        return made

    def load(
        self, paths: Sequence[str], edges: "Edges", cluster: "FromCluster | None" = None
    ) -> "tuple[InForce | None, dict[str, str]]":
        """Return `read` and `in_force` in one, with the files' texts, for a command that has its edges already."""
        written = self.read(paths, cluster)
        return (None, {}) if written is None else (self.in_force(written, edges), written.texts)

    def ports(self) -> "tuple[NamedPort, ...]":
        """Return the named ports. Raise UsageError where one has another form, InputError where it is no port."""
        from flowmine.engine.party import Party

        return Party.of({"named_ports": dict(map(_named_port, self.named_ports))}).named_ports


def agent_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of the agents; it gets them as ``agents``."""

    @wraps(function)
    def command(
        enforcement: str, settings: tuple[str, ...], named_ports: tuple[str, ...], **options: Any
    ) -> Any:
        return function(agents=Agents(enforcement, settings, named_ports), **options)

    wrapped: Callable[..., Any] = command
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _documents(paths: Sequence[str], cluster: "FromCluster | None") -> "Sequence[Document] | None":
    from flowmine.policy.files import Document, load

    connected = cluster.connect() if cluster is not None else None
    if connected is not None:
        return [
            Document("the cluster", number, 0, value) for number, value in enumerate(connected.policies(), 1)
        ]
    if not paths:
        return None
    loaded = load(*paths)
    for skipped in loaded.skipped:
        click.echo(f"{skipped.where}: {skipped.what} passed over: {skipped.reason}", err=True)
    if not loaded.documents:
        raise PolicyError(f"{' '.join(paths)}: there is no policy here; check the path")
    return loaded.documents


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text!r}: write OPTION=VALUE, such as ipv6=true")
    return name.strip().replace("-", "_"), {"true": True, "false": False}.get(value.lower(), value)


def _named_port(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--named-port {text!r}: write NAME=PORT, such as http=8080/TCP")
    return name, value
