"""Whole lists of objects, page by page, with `list` rights only, and every refusal as one sentence.

A list that grows too old while it is read (410 Gone) is begun again, as Kubernetes' API conventions ask for. Of the
official client only what it takes to connect and to send a GET is used: objects stay the JSON that the server sent.
"""

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flowmine.cluster.kubeconfig import library
from flowmine.errors import InputError

__all__ = ["Listing", "Manifest", "Resource"]

Manifest = dict[str, Any]

_PAGE = 500
_RESTARTS = 3
_TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and between two answers of the server."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object that is listed over the whole cluster; of its versions the first that is served counts."""

    kind: str
    plural: str
    group: str
    versions: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name by which rights are given: `plural.group`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


class Listing:
    """What lists objects of one API server."""

    def __init__(self, client: Any) -> None:
        """Take an `ApiClient` of the official library; see `kubeconfig.client_of`."""
        self._client = client

    @property
    def host(self) -> str:
        """The address of the API server."""
        return str(self._client.configuration.host)

    def objects(self, resource: Resource) -> list[Manifest] | None:
        """Return all objects of a kind, with `apiVersion` and `kind`; None where the cluster serves no such kind.

        Raise InputError, naming the missing right or the cause, where the server does not answer with a list.
        """
        for version in resource.versions:
            try:
                return list(self._list(resource, version))
            except _NotServed:
                continue
        return None

    def served(self, resource: Resource) -> str | None:
        """Return the version in which a kind is served, by a list of one object; None where it is not.

        Raise InputError as `objects` does.
        """
        for version in resource.versions:
            try:
                self._get(resource, version, 1, None)
            except _NotServed:
                continue
            return version
        return None

    def _list(self, resource: Resource, version: str) -> Iterator[Manifest]:
        """Yield the objects, the list begun again where it grew too old, at last without pages."""
        api = f"{resource.group}/{version}" if resource.group else version
        for attempt in range(_RESTARTS + 1):
            try:
                items = list(self._pages(resource, version, _PAGE if attempt < _RESTARTS else None))
            except _Gone:
                continue
            yield from ({**item, "apiVersion": api, "kind": resource.kind} for item in items)
            return
        raise InputError(
            f"{self.host}: the list of {resource.name} grew too old before it was read (410), {_RESTARTS + 1} times; "
            "try again when the cluster is calmer"
        )

    def _pages(self, resource: Resource, version: str, limit: int | None) -> Iterator[Manifest]:
        token: str | None = None
        while True:
            page = self._get(resource, version, limit, token)
            items, metadata = page.get("items"), page.get("metadata")
            if not isinstance(items, list) or not all(_has_name(item) for item in items):
                raise InputError(
                    f"{self.host}: the answer is no list of {resource.name}; is this an API server?"
                )
            yield from items
            token = metadata.get("continue") if isinstance(metadata, dict) else None
            if not token:
                return

    def _get(self, resource: Resource, version: str, limit: int | None, token: str | None) -> Manifest:
        from urllib3.exceptions import HTTPError

        client = library("client")
        options: dict[str, Any] = {"_preload_content": False, "_request_timeout": _TIMEOUT}
        options |= {"limit": limit} if limit else {}
        options |= {"_continue": token} if token else {}
        try:
            if resource.group:
                api = client.CustomObjectsApi(self._client)
                answer = api.list_cluster_custom_object(resource.group, version, resource.plural, **options)
            else:
                answer = client.CoreV1Api(self._client).list_namespace(**options)
            value = json.loads(answer.data or b"")
        except client.ApiException as error:
            raise self._refused(resource, error) from error
        except (HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.host}: the answer is no JSON; is this an API server?") from error
        if not isinstance(value, dict):
            raise InputError(f"{self.host}: the answer is no list of {resource.name}; is this an API server?")
        return value

    def _refused(self, resource: Resource, error: Any) -> Exception:
        """Return what an error answer means."""
        said = _said(error)
        if error.status == 404:
            return _NotServed()
        if error.status == 410:
            return _Gone()
        if error.status == 401:
            return InputError(
                f"{self.host}: the credentials are not taken (401{said}); log in again, or choose others with --context"
            )
        if error.status == 403:
            return InputError(
                f"{self.host}: the right to list {resource.name} over the whole cluster is missing (403{said}); "
                f'ask for a ClusterRole with apiGroups ["{resource.group}"], resources ["{resource.plural}"], '
                'verbs ["list"]'
            )
        return InputError(
            f"{self.host}: cannot list {resource.name} ({error.status} {error.reason}{said}); try again later"
        )

    def _unreachable(self, error: Exception) -> InputError:
        causes = list(_causes(error))
        refused = next((each for each in causes if isinstance(each, ssl.SSLError)), None)
        if refused is not None:
            what = (
                refused.verify_message
                if isinstance(refused, ssl.SSLCertVerificationError)
                else refused.reason
            )
            return InputError(
                f"{self.host}: no trusted TLS connection ({what}); check the cluster's address and "
                "certificate-authority in the kubeconfig"
            )
        return InputError(
            f"{self.host}: the API server cannot be reached ({causes[-1]}); check the network and the context"
        )


class _NotServed(Exception):
    """The server knows no such kind in this version."""


class _Gone(Exception):
    """The list is too old to be read on."""


def _has_name(item: Any) -> bool:
    metadata = item.get("metadata") if isinstance(item, dict) else None
    return isinstance(metadata, dict) and isinstance(metadata.get("name"), str)


def _said(error: Any) -> str:
    """Return what the server itself gave as the reason, as one line; empty where it said nothing readable."""
    try:
        message = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        return ""
    return f": {' '.join(str(message).split())[:300]}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what lies behind it, the last the most telling."""
    found: BaseException | None = error
    while found is not None:
        yield found
        reason = getattr(found, "reason", None)
        found = reason if isinstance(reason, BaseException) else found.__cause__ or found.__context__
