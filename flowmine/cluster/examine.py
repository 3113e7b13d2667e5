"""What a cluster lets be read, and how Cilium is set there: what `doctor` looks at. Only list and get, nothing is changed."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowmine.cluster import RESOURCES
from flowmine.cluster.kubeconfig import client_of, library
from flowmine.cluster.listing import Listing, Manifest
from flowmine.errors import InputError
from flowmine.yamlvalue import yaml_value

__all__ = ["Examined", "Exporter", "Right", "examine", "exporters_of"]

_CONFIG, _FLOWLOGS = "cilium-config", "cilium-flowlog-config"
_TIMEOUT = (10.0, 30.0)
_SIZE_MB, _BACKUPS = 10, 5
"""What the agent takes where nothing is set (Cilium ``pkg/hubble/exporter``)."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """A file that the agent of every node writes flows to, and what is kept of it.

    ``size_mb`` is when it is rotated; ``backups`` how many rotated files are kept, 0 for all. ``mask`` are the fields
    that are written, none for all of them; ``filtered`` tells that not every flow is.
    """

    name: str
    path: str = ""
    size_mb: int = _SIZE_MB
    backups: int = _BACKUPS
    mask: tuple[str, ...] = ()
    filtered: bool = False


@dataclass(frozen=True, slots=True)
class Right:
    """A kind of object, and whether it may be listed: the version served, or in ``refused`` why not."""

    resource: str
    kind: str
    version: str | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """What a cluster answered. ``config`` is cilium-config's, None where it could not be read; ``unread`` says why."""

    host: str
    kubernetes: str
    cilium: str
    rights: tuple[Right, ...]
    config: Mapping[str, str] | None
    exporters: tuple[Exporter, ...]
    unread: tuple[str, ...]


def examine(
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    namespace: str = "kube-system",
) -> Examined:
    """Ask a cluster what may be read of it, and how Cilium in ``namespace`` is set.

    Raise UsageError where no cluster is configured so, InputError where it cannot be reached at all.
    """
    client = client_of(kubeconfig, context)
    listing = Listing(client)
    asked = _Asked(client, listing.host)
    kubernetes = asked.version()
    rights = tuple(_rights(listing))
    config = asked.config(namespace, _CONFIG)
    flowlogs = asked.config(namespace, _FLOWLOGS) if config and _has_flowlogs(config) else None
    return Examined(
        host=listing.host,
        kubernetes=kubernetes,
        cilium=asked.cilium(namespace),
        rights=rights,
        config=config,
        exporters=exporters_of(config or {}, flowlogs or {}),
        unread=tuple(asked.unread),
    )


def exporters_of(config: Mapping[str, str], flowlogs: Mapping[str, str]) -> tuple[Exporter, ...]:
    """Return the exporters that the agents' configuration asks for: the static one, and those of `flowlogs.yaml`.

    A number that is none is the agent's default, as an agent that does not start says more clearly itself.
    """
    found = []
    if path := config.get("hubble-export-file-path", "").strip():
        found.append(
            Exporter(
                "hubble-export-file-path",
                path,
                _number(config.get("hubble-export-file-max-size-mb"), _SIZE_MB),
                _number(config.get("hubble-export-file-max-backups"), _BACKUPS),
                tuple(config.get("hubble-export-fieldmask", "").replace(",", " ").split()),
                any(
                    config.get(f"hubble-export-{key}list", "").strip(" []\n") != ""
                    for key in ("allow", "deny")
                ),
            )
        )
    for text in flowlogs.values():
        found += _dynamic(text)
    return tuple(found)


def _dynamic(text: str) -> Iterator[Exporter]:
    """Yield the exporters of a `flowlogs.yaml`; none where it cannot be read."""
    try:
        logs = yaml_value(text)["flowLogs"]
        entries = [entry for entry in logs if isinstance(entry, dict)]
    except (ValueError, TypeError, KeyError):
        return
    for entry in entries:
        yield Exporter(
            str(entry.get("name", "")),
            str(entry.get("filePath", "")),
            _number(entry.get("fileMaxSizeMb"), _SIZE_MB),
            _number(entry.get("fileMaxBackups"), _BACKUPS),
            tuple(map(str, entry.get("fieldMask") or ())),
            bool(entry.get("includeFilters") or entry.get("excludeFilters")),
        )


def _has_flowlogs(config: Mapping[str, str]) -> bool:
    return bool(config.get("hubble-flowlogs-config-path"))


def _number(value: Any, default: int) -> int:
    text = str(value).strip()
    return int(text) if text.isdecimal() else default


def _rights(listing: Listing) -> Iterator[Right]:
    for resource in RESOURCES:
        try:
            yield Right(resource.name, resource.kind, listing.served(resource))
        except InputError as error:
            yield Right(resource.name, resource.kind, refused=str(error))


class _Asked:
    """Asks what is no list, and notes what was not answered."""

    def __init__(self, client: Any, host: str) -> None:
        self._client, self._host = client, host
        self.unread: list[str] = []

    def version(self) -> str:
        """Return Kubernetes' version. Raise InputError where the server cannot be reached."""
        from urllib3.exceptions import HTTPError

        client = library("client")
        try:
            return str(self._json(client.VersionApi(self._client).get_code).get("gitVersion") or "")
        except client.ApiException:
            return ""
        except (HTTPError, OSError, ValueError) as error:
            raise InputError(
                f"{self._host}: the API server cannot be reached ({_last(error)}); check the network and the context"
            ) from error

    def config(self, namespace: str, name: str) -> dict[str, str] | None:
        """Return the data of a ConfigMap."""
        api = library("client").CoreV1Api(self._client)
        read = self._read(f"configmap {namespace}/{name}", api.read_namespaced_config_map, name, namespace)
        data = read and read.get("data")
        return {str(key): str(value) for key, value in data.items()} if isinstance(data, dict) else None

    def cilium(self, namespace: str) -> str:
        """Return the version that the agents' image is tagged with; empty where it cannot be told."""
        api = library("client").AppsV1Api(self._client)
        read = self._read(
            f"daemonsets in {namespace}",
            api.list_namespaced_daemon_set,
            namespace,
            label_selector="k8s-app=cilium",
        )
        for image in _images(read or {}):
            if found := re.search(r":v?(\d+\.\d+[^@]*)", image):
                return found[1]
        return ""

    def _read(self, what: str, call: Any, *args: Any, **options: Any) -> Manifest | None:
        from urllib3.exceptions import HTTPError

        try:
            return self._json(call, *args, **options)
        except library("client").ApiException as error:
            self.unread.append(f"{what}: {error.status} {error.reason}")
        except (HTTPError, OSError, ValueError) as error:
            self.unread.append(f"{what}: {_last(error)}")
        return None

    def _json(self, call: Any, *args: Any, **options: Any) -> Manifest:
        answer = call(*args, _preload_content=False, _request_timeout=_TIMEOUT, **options)
        try:
            value = json.loads(answer.data or b"")
        except RecursionError as error:
            raise ValueError("the answer is nested too deeply") from error
        return value if isinstance(value, dict) else {}


def _images(answer: Manifest) -> Iterator[str]:
    """Yield the images of agents in a list of DaemonSets, as far as it is one."""
    for item in _objects(answer, "items"):
        spec = item
        for key in ("spec", "template", "spec"):
            spec = found if isinstance(found := spec.get(key), dict) else {}
        for container in _objects(spec, "containers"):
            if container.get("name") == "cilium-agent":
                yield str(container.get("image", ""))


def _objects(of: Manifest, key: str) -> list[Manifest]:
    found = of.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _last(error: BaseException) -> str:
    """Return the cause that says most, in one line."""
    found = getattr(error, "reason", None) or error
    return " ".join(str(found).split())[:300]
