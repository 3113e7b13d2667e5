"""Replace addresses and pod names of what is recorded by pseudonyms, the same ones in every window of one key.

An address becomes another whose first bits are equal exactly as long as those of the originals were: networks stay
networks, whatever their size (the idea of Crypto-PAn, Xu and others 2002, here over keyed BLAKE2). Blocks with a meaning
of their own (`_FIXED` and `_WITHIN`) keep it: no public address becomes a private one, loopback and link-local ones stay.
A pod name becomes ``pod-`` and ten digits. Both are also replaced where texts contain them: host names, DNS names, node
names, labels. The endpoints' ids, which are hashes of their labels, are made anew.
"""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from flowmine.errors import InputError, UsageError
from flowmine.labels import CanonicalEndpoint, endpoint_id
from flowmine.outputs import draft

__all__ = ["WHAT", "Redaction", "read_key"]

WHAT = ("ips", "pods")
"""What can be replaced."""

_FIXED = tuple(
    map(
        ip_network,
        ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/32", "fe80::/10", "ff00::/8"),
    )
)
"""Blocks whose addresses stay as they are: they say what they are and nothing about a cluster."""

_WITHIN = tuple(
    map(
        ip_network,
        ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "64:ff9b::/96", "fc00::/7"),
    )
)
"""Blocks within which addresses stay."""

_V4 = r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)"
_DASHED = r"(?<![\dA-Za-z])(?:\d{1,3}-){3}\d{1,3}(?![\dA-Za-z])"
_V6 = r"(?<![0-9A-Fa-f:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![0-9A-Fa-f:.])"
_IN_TEXT = re.compile(f"(?P<v4>{_V4})|(?P<dashed>{_DASHED})|(?P<v6>{_V6})")
_REVERSED = re.compile(r"((?:\d{1,3}\.){4})(in-addr\.arpa)|((?:[0-9A-Fa-f]\.){32})(ip6\.arpa)", re.IGNORECASE)
_CIDR_LABEL = re.compile(r"cidr:(?P<address>[^/=]+)(?P<length>/\d+)?(?P<rest>=.*)?")
_POD_LABEL = re.compile(r"(?P<key>(?:\w+:)?(?:statefulset\.kubernetes\.io/pod-name))=(?P<pod>.+)")
_POD_HOST = re.compile(r"(?P<pod>[^._][^.]*)(?P<rest>\.[^.]+\.[^.]+\.svc(?:\..*)?)")

_Ip = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


def read_key(path: Path) -> bytes:
    """Return the key in a file, made at first use, readable by its owner only. Raise InputError where that fails."""
    try:
        if not path.exists():
            _make_key(path)
        key = bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no key for pseudonyms can be read or made there ({error})") from error
    if len(key) < 16:
        raise InputError(f"{path}: too short to be a key for pseudonyms: 16 bytes in hexadecimal at least")
    return key


def _make_key(path: Path) -> None:
    """Make a key, whole and readable by its owner only; one that another process has made meanwhile stays."""
    made = draft(path, f"{secrets.token_hex(32)}\n".encode("ascii"), mode=0o600)
    try:
        os.link(made, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


class Redaction:
    """Pseudonyms of one key for addresses, pod names, or both."""

    def __init__(self, what: tuple[str, ...], key: bytes) -> None:
        """Replace ``what`` of `WHAT`. Raise UsageError for anything else."""
        if unknown := sorted(set(what) - set(WHAT)):
            raise UsageError(f"cannot redact {', '.join(unknown)}: it is {' or '.join(WHAT)}")
        self.what = tuple(one for one in WHAT if one in what)
        self._key = blake2b(key, digest_size=32).digest()
        self._ids: dict[int, int] = {}
        self.text = lru_cache(1 << 16)(self._text)
        self.pod = lru_cache(1 << 16)(self._pod)
        self.address = lru_cache(1 << 16)(self._address)
        self._bit = lru_cache(1 << 18)(self._flips)

    @cached_property
    def _columns(self) -> dict[str, Callable[[str], str]]:
        pods = dict.fromkeys(("source_pod", "destination_pod", "pod_name", "pod", "pods"), self.pod)
        texts = ("source_names", "destination_names", "http_host", "http_path", "dns_query", "node_name")
        addresses = ("source_ip", "source_xlated", "destination_ip", "dns_ips", "ip")
        others = ("name", "node", "source", "node_labels")
        return {
            **(pods if "pods" in self.what else {}),
            **dict.fromkeys((*texts, *others), self.text),
            **(dict.fromkeys(addresses, self.address) if "ips" in self.what else {}),
        }

    def flows(self, batch: pa.RecordBatch, endpoints: Callable[[], pa.Table]) -> pa.RecordBatch:
        """Return FLOWS with pseudonyms; ``endpoints`` is asked for ENDPOINTS where the batch has new ones."""
        columns = {name: batch.column(name) for name in batch.schema.names}
        made = {name: self._renamed(name, column) for name, column in columns.items()}
        for name in ("source", "destination"):
            made[name] = self._other_ids(columns[name], endpoints)
        return pa.RecordBatch.from_arrays(list(made.values()), schema=batch.schema)

    def beside(self, tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
        """Return what lies beside FLOWS in a window with pseudonyms: endpoints, pods, names, ledger."""
        endpoints = tables["endpoints"]
        made = {}
        for name, table in tables.items():
            columns = {each: self._renamed(each, table[each]) for each in table.schema.names}
            for key in ("id", "endpoint", "subject"):
                if key in columns:
                    columns[key] = self._other_ids(table[key], lambda: endpoints)
            if name == "pods" and "pods" in self.what:
                columns["workload"] = pa.array(
                    list(map(self._workload, table["workload"].to_pylist())), pa.string()
                )
            if name == "endpoints":
                kinds, names = table["workload_kind"].to_pylist(), table["workload_name"].to_pylist()
                whole = [self._workload(f"{kind}/{each}") for kind, each in zip(kinds, names, strict=True)]
                columns["workload_name"] = pa.array([each.partition("/")[2] for each in whole], pa.string())
                labels = [sorted(map(self.label, each)) for each in table["labels"].to_pylist()]
                columns["labels"] = pa.array(labels, table.schema.field("labels").type)
            made[name] = pa.table(columns, schema=table.schema)
        return made

    def _workload(self, text: str) -> str:
        """Return a workload, `Kind/name`; a pod that nothing owns is its own."""
        kind, _, name = text.partition("/")
        return f"{kind}/{self.pod(name)}" if kind == "Pod" and "pods" in self.what else text

    def _renamed(self, name: str, column: Any) -> Any:
        """Return a column with its texts replaced, each distinct one once."""
        rename = self._columns.get(name)
        kind = column.type
        if rename is None or not (pa.types.is_string(kind) or pa.types.is_list(kind)):
            return column
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], kind)
        if pa.types.is_list(kind):
            values = [
                None if each is None else [rename(text) for text in each] for each in column.to_pylist()
            ]
            return pa.array([sorted(each) if name == "pods" and each else each for each in values], kind)
        encoded = column.dictionary_encode()
        texts = [text and rename(text) for text in encoded.dictionary.to_pylist()]
        return pa.array(texts, pa.string()).take(encoded.indices)

    def _other_ids(self, column: Any, endpoints: Callable[[], pa.Table]) -> pa.Array:
        ids = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
        values, places = np.unique(ids, return_inverse=True)
        if any(one not in self._ids for one in values.tolist() if one):
            self._learn(endpoints())
        made = np.array([self._ids.get(one, 0) for one in values.tolist()], np.uint64)
        return pa.array(made[places])

    def _learn(self, endpoints: pa.Table) -> None:
        for one in endpoints.to_pylist():
            if one["id"] not in self._ids:
                labels = tuple(sorted(map(self.label, one["labels"])))
                pod = self.pod(one["pod"]) if one["pod"] and "pods" in self.what else one["pod"]
                what = CanonicalEndpoint(
                    one["cluster_name"], one["namespace"], labels, tuple(one["reserved"]), pod
                )
                self._ids[one["id"]] = endpoint_id(what)

    def label(self, text: str) -> str:
        """Return a label with pseudonyms: those of CIDRs (`cidr:10.0.0.0/8`, `-` for `:`) and of pod names."""
        if "ips" in self.what and (found := _CIDR_LABEL.fullmatch(text)):
            address, length = found["address"], found["length"] or ""
            dashed = "." not in address
            network = self.network(address.replace("-", ":") if dashed else address, length)
            return f"cidr:{network.replace(':', '-') if dashed else network}{found['rest'] or ''}"
        if "pods" in self.what and (found := _POD_LABEL.fullmatch(text)):
            return f"{found['key']}={self.pod(found['pod'])}"
        return text

    def network(self, address: str, length: str) -> str:
        """Return the pseudonym of a network, written as it was; one that cannot be read stays."""
        try:
            network = ip_network(f"{address}{length}", strict=False)
        except ValueError:
            return f"{address}{length}"
        return f"{self._mapped(network.network_address, network.prefixlen)}{length}"

    def _address(self, text: str) -> str:
        try:
            address = ip_address(text)
        except ValueError:
            return self.text(text)
        return str(self._mapped(address, address.max_prefixlen))

    def _mapped(self, address: _Ip, length: int) -> _Ip:
        """Return an address with its first ``length`` bits replaced, the others as they are."""
        if any(address in block for block in _FIXED if block.version == address.version):
            return address
        width, value = address.max_prefixlen, int(address)
        result = 0
        for place in range(length):
            prefix = value >> (width - place)
            bit = value >> (width - place - 1) & 1
            result = result << 1 | (bit ^ self._bit(address.version, place, prefix))
        rest = width - length
        return type(address)(result << rest | value & ((1 << rest) - 1))

    def _flips(self, version: int, place: int, prefix: int) -> int:
        """Tell whether the bit after a prefix is turned over; never where that would move a block with a meaning."""
        width = 32 if version == 4 else 128
        for block in (*_FIXED, *_WITHIN):
            above = block.version == version and place < block.prefixlen
            if above and int(block.network_address) >> (width - place) == prefix:
                return 0
        told = f"{version}/{place}/{prefix}".encode()
        return blake2b(told, key=self._key, digest_size=1).digest()[0] & 1

    def _pod(self, name: str) -> str:
        if not name:
            return name
        return (
            f"pod-{blake2b(name.encode('utf-8', 'surrogatepass'), key=self._key, digest_size=5).hexdigest()}"
        )

    def _text(self, text: str) -> str:
        """Return a text with the addresses and pod names in it replaced."""
        if "pods" in self.what and (found := _POD_HOST.fullmatch(text)):
            text = f"{self._host(found['pod'])}{found['rest']}"
        if "ips" not in self.what:
            return text
        return _IN_TEXT.sub(self._found, _REVERSED.sub(self._reverse, text))

    def _host(self, name: str) -> str:
        """Return the first part of a pod's own DNS name: its name, or its address with dashes, which `_text` does."""
        return name if re.fullmatch(_DASHED, name) else self.pod(name)

    def _found(self, found: re.Match[str]) -> str:
        text = found[0]
        if found["dashed"]:
            return (
                self.address(text.replace("-", ".")).replace(".", "-")
                if _is_ip(text.replace("-", "."))
                else text
            )
        return self.address(text) if _is_ip(text) else text

    def _reverse(self, found: re.Match[str]) -> str:
        if found[1]:
            parts = found[1].rstrip(".").split(".")[::-1]
            address = ".".join(parts)
            return (
                ".".join(self.address(address).split(".")[::-1]) + f".{found[2]}"
                if _is_ip(address)
                else found[0]
            )
        digits = found[3].replace(".", "")[::-1]
        address = str(IPv6Address(int(digits, 16)))
        mapped = IPv6Address(self.address(address)).exploded.replace(":", "")
        return ".".join(mapped[::-1]) + f".{found[4]}"


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
