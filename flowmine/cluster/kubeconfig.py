"""Which cluster is meant: a kubeconfig's context, or from within a pod its own; a client of the official library for it."""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from flowmine.errors import UsageError
from flowmine.yamlvalue import yaml_value

__all__ = ["client_of", "library"]

_SECRETS = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def client_of(
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    secrets: Path | None = None,
) -> Any:
    """Return an `ApiClient` for the cluster of a kubeconfig's context; nothing is asked of it yet.

    Without `kubeconfig` it is `$KUBECONFIG`, else `~/.kube/config`, and where there is none, inside a pod, the pod's own
    cluster by the service account in `secrets`. Raise UsageError where the client is not installed, or no cluster is
    configured so.
    """
    client = library("client")
    configuration = client.Configuration()
    if kubeconfig is None and context is None and not _has_kubeconfig() and _in_pod():
        _configure_in_pod(configuration, secrets or _SECRETS)
    else:
        _configure(configuration, kubeconfig, context)
    configuration.retries = _retries()
    try:
        return client.ApiClient(configuration)
    except ValueError as error:  # of urllib3, about the proxy
        raise UsageError(f"the kubeconfig names no way to the cluster ({error}); check the file") from error


def library(part: str) -> Any:
    """Return a part of the official client. Raise UsageError where it is not installed."""
    try:
        return import_module(f"kubernetes.{part}")
    except ImportError as error:
        raise UsageError(
            "reading a cluster needs the Kubernetes client: pip install 'flowmine[k8s]'"
        ) from error


def _configure(configuration: Any, kubeconfig: str | os.PathLike[str] | None, context: str | None) -> None:
    config = library("config")
    where = os.fspath(kubeconfig) if kubeconfig is not None else _default_kubeconfig()
    if not any(Path(part).expanduser().is_file() for part in where.split(os.pathsep) if part):
        raise UsageError(f"{where}: there is no kubeconfig; name one with --kubeconfig")
    try:
        config.load_kube_config(where, context, client_configuration=configuration, persist_config=False)
    except config.ConfigException as error:
        raise UsageError(f"{where}: {_what_is_wrong(where, context, str(error))}") from error
    except (
        yaml.YAMLError,
        OSError,
        TypeError,
        LookupError,
        AttributeError,
        ValueError,
        RecursionError,
    ) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{where}: not a kubeconfig that can be read ({told}); check the file") from error


def _what_is_wrong(where: str, context: str | None, said: str) -> str:
    known = sorted(_contexts(where))
    if context is not None and context not in known:
        return f"it has no context {context!r} (known: {', '.join(known) or 'none'})"
    if context is None and known:
        return f"no cluster is chosen ({said}); choose with --context one of {', '.join(known)}"
    return f"no cluster is configured there ({said}); check the file"


def _contexts(where: str) -> Iterator[str]:
    """Yield the names of the contexts in kubeconfig files, as far as they can be read."""
    for part in filter(None, where.split(os.pathsep)):
        try:
            value = yaml_value(Path(part).expanduser().read_bytes())
            yield from (str(each["name"]) for each in value["contexts"])
        except (OSError, TypeError, KeyError, ValueError):
            continue


def _configure_in_pod(configuration: Any, secrets: Path) -> None:
    loader = library("config.incluster_config").InClusterConfigLoader
    try:
        loader(str(secrets / "token"), str(secrets / "ca.crt")).load_and_set(configuration)
    except (library("config").ConfigException, OSError) as error:
        raise UsageError(
            f"{secrets}: this pod has no service account to use ({error}); mount one, or name a kubeconfig"
        ) from error


def _default_kubeconfig() -> str:
    return os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())


def _has_kubeconfig() -> bool:
    return any(Path(part).is_file() for part in _default_kubeconfig().split(os.pathsep) if part)


def _in_pod() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def _retries() -> Any:
    """Return what is tried again: only what the server itself asks for (too many requests, not ready)."""
    from urllib3.util import Retry

    return Retry(
        total=3, connect=0, read=0, redirect=0, status=3, status_forcelist=(429, 503), raise_on_status=False
    )
