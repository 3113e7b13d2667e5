"""The options of commands that can ask a running cluster for the policies in force: `--from-cluster` and whose."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from flowmine.errors import UsageError

if TYPE_CHECKING:
    from flowmine.cluster import Cluster

__all__ = ["FromCluster", "cluster_options"]

_OPTIONS = (
    click.option(
        "--from-cluster",
        is_flag=True,
        help="Read the policies in force from the cluster (needs flowmine[k8s], and the right to list them).",
    ),
    click.option(
        "--context",
        metavar="NAME",
        help="With --from-cluster: the kubeconfig's context (default: the current).",
    ),
    click.option(
        "--kubeconfig", metavar="FILE", help="With --from-cluster: the kubeconfig (default: as kubectl's)."
    ),
)


@dataclass(frozen=True, slots=True)
class FromCluster:
    """Whether a cluster is to be asked, and which."""

    wanted: bool = False
    context: str | None = None
    kubeconfig: str | None = None

    def connect(self) -> "Cluster | None":
        """Return the cluster that is meant, None where none is wanted.

        Raise UsageError where the Kubernetes client is not installed or no such cluster is configured.
        """
        if not self.wanted:
            return None
        from flowmine.cluster import connect

        return connect(self.kubeconfig, self.context)


def cluster_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a cluster; it gets them as ``cluster``, a `FromCluster`.

    Paths of the policies in force (``against`` where the command has that, else ``policies``) contradict a cluster: giving
    both is a UsageError.
    """

    @wraps(function)
    def command(from_cluster: bool, context: str | None, kubeconfig: str | None, **options: Any) -> Any:
        if (context or kubeconfig) and not from_cluster:
            raise UsageError("--context and --kubeconfig say which cluster to read: give --from-cluster too")
        paths = "against" if "against" in options else "policies"
        if from_cluster and options.get(paths):
            raise UsageError(f"--{paths} and --from-cluster contradict each other: give one of them")
        return function(cluster=FromCluster(from_cluster, context, kubeconfig), **options)

    wrapped: Callable[..., Any] = command
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
