"""What a pod's workload is called, from what Cilium reports or else from the pod's own name.

Run numbers, hashes and indexes are told from names here, and from label values for `selectors`.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["dns_name", "is_word", "looks_generated", "shared_name", "workload_of_pod", "workload_token"]

# Kubernetes' own random suffixes use these only (apimachinery `util/rand`).
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
_DEPLOYMENT_POD = re.compile(rf"^(?P<name>.+)-{_RANDOM}{{6,10}}-{_RANDOM}{{5}}$")
_CRON_POD = re.compile(rf"^(?P<name>.+)-\d{{8,10}}-(\d+-)?{_RANDOM}{{5}}$")
_RANDOM_POD = re.compile(rf"^(?P<name>.+)-{_RANDOM}{{5}}$")
_INDEX_POD = re.compile(r"^(?P<name>.+)-\d{1,4}$")
_CRON_JOB = re.compile(r"^(?P<name>.+)-\d{8,10}$")
_REPLICA_SET = re.compile(rf"^(?P<name>.+)-{_RANDOM}{{6,10}}$")
_UUID = re.compile(r"^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$", re.I)
_HEX = re.compile(r"^(?=.*\d)(?=.*[a-f])[0-9a-f]{7,}$", re.I)
_NUMBER = re.compile(r"^\d{5,}$")
_SHORT_NUMBER = re.compile(r"^\d{3,}$")
_STAMP = re.compile(r"^\d{4}-?\d{2}-?\d{2}([tT_-]?\d{2}[:-]?\d{2}([:-]?\d{2})?[zZ]?)?$")
_RANDOM_PART = re.compile(rf"^(?=.*\d){_RANDOM}{{5,10}}$")


@lru_cache(maxsize=65536)
def looks_generated(value: str) -> bool:
    """Tell whether a text is, or ends in, what machines make up: a hash, a UUID, a long number, a time, a suffix.

    >>> looks_generated("7d9f8b6c5d"), looks_generated("etl-28412345"), looks_generated("web-2")
    (True, True, False)
    """
    if _UUID.match(value) or _STAMP.match(value):
        return True
    last = value.rpartition("-")[2]
    return any(pattern.match(last) for pattern in (_HEX, _NUMBER, _RANDOM_PART))


def is_word(value: str) -> bool:
    """Tell whether people chose a text: it is no number, and no machine made it up.

    >>> is_word("blue"), is_word("7"), is_word("7d9f8b6c5d")
    (True, False, False)
    """
    return bool(value) and not value.isdigit() and not looks_generated(value)


def workload_of_pod(pod: str) -> str:
    """Guess ``Kind/name`` from how controllers name pods; kind ``?`` where several would, empty where none would.

    >>> workload_of_pod("web-7d9f8b6c5d-x2x4z"), workload_of_pod("db-0"), workload_of_pod("agent-x2x4z")
    ('Deployment/web', 'StatefulSet/db', '?/agent')
    """
    for pattern, kind in (
        (_CRON_POD, "CronJob"),
        (_DEPLOYMENT_POD, "Deployment"),
        (_RANDOM_POD, "?"),
        (_INDEX_POD, "StatefulSet"),
    ):
        found = pattern.match(pod)
        if found:
            return f"{kind}/{_run_name(found['name'])}" if kind == "?" else f"{kind}/{found['name']}"
    return f"Pod/{_run_name(pod)}" if pod else ""


def workload_token(workload: str) -> str:
    """Return ``Kind/name`` with what changes per run or rollout taken off.

    A job named by a cron job is the cron job's, a replica set named with a hash its deployment's.

    >>> workload_token("Job/backup-28412345"), workload_token("ReplicaSet/web-7d9f8b6c5d")
    ('CronJob/backup', 'Deployment/web')
    """
    kind, _, name = workload.partition("/")
    cron = _CRON_JOB.match(name)
    if kind in ("Job", "CronJob") and cron:
        return f"CronJob/{cron['name']}"
    replica = _REPLICA_SET.match(name)
    if kind == "ReplicaSet" and replica:
        return f"Deployment/{replica['name']}"
    if kind in ("Job", "Pod", "Workflow", "Node"):
        return f"{kind}/{_run_name(name)}"
    return workload


def _run_name(name: str) -> str:
    parts = name.split("-")
    kept = [part for part in parts if not (_SHORT_NUMBER.match(part) or looks_generated(part))]
    return "-".join(kept) if kept and kept[0] == parts[0] else name


def shared_name(names: Iterable[str]) -> str:
    """Return one name for several: the only one, else the parts that all begin with, else the first in order."""
    ordered = sorted(set(names))
    if len(ordered) < 2:
        return ordered[0] if ordered else ""
    first, last = ordered[0].split("-"), ordered[-1].split("-")
    prefix = "-".join(first[: _equal_parts(first, last)])
    return prefix if len(prefix) > 2 else ordered[0]


def _equal_parts(first: list[str], last: list[str]) -> int:
    count = 0
    for one, other in zip(first, last, strict=False):
        if one != other:
            break
        count += 1
    return count


def dns_name(text: str) -> str:
    """Return the text as a name that Kubernetes takes for an object: DNS-1123, at most 200 characters.

    >>> dns_name("My_App=x")
    'my-app-x'
    """
    words = re.sub(r"[^a-z0-9.-]+", "-", text.lower())[:200].split(".")
    return ".".join(word for each in words if (word := each.strip("-"))) or "workload"
