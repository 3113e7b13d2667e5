"""What a person should think of before a drop is admitted."""

from collections.abc import Iterable
from datetime import timedelta

from flowmine.advise.dropgroups import DropGroup
from flowmine.policy.model import Direction

__all__ = ["SENSITIVE", "risks_of"]

SENSITIVE: dict[tuple[str, int], str] = {
    ("TCP", port): name
    for name, ports in {
        "SSH": (22,),
        "Telnet": (23,),
        "SMB": (139, 445),
        "LDAP": (389, 636),
        "SQL Server": (1433,),
        "Oracle": (1521,),
        "NFS": (2049,),
        "Docker": (2375, 2376),
        "etcd": (2379, 2380),
        "MySQL": (3306,),
        "RDP": (3389,),
        "PostgreSQL": (5432,),
        "VNC": (5900,),
        "WinRM": (5985, 5986),
        "Redis": (6379,),
        "the Kubernetes API": (6443,),
        "Elasticsearch": (9200, 9300),
        "the kubelet": (10250, 10255),
        "memcached": (11211,),
        "MongoDB": (27017,),
        "Kafka": (9092,),
        "Vault": (8200,),
        "Consul": (8500,),
    }.items()
    for port in ports
}
"""Ports behind which is what an intruder looks for, and its name."""

_BURST = timedelta(seconds=10)
_ONE_OFF = 12
_MANY = 16


def risks_of(group: DropGroup, scanners: Iterable[str], *, also: int) -> tuple[str, ...]:
    """Return what speaks for care, most grave first; ``scanners`` are sources known to scan, ``also`` what else is admitted."""
    found = []
    name = SENSITIVE.get((group.protocol, group.port or 0))
    if not (group.source.known and group.target.known):
        found.append("unknown identity")
    if group.source.outside and Direction.INGRESS in (group.sides or (Direction.INGRESS,)):
        found.append("from outside")
    if group.source.title in set(scanners):
        found.append("its source scans")
    if name:
        found.append(f"sensitive port ({name})")
    if group.first and group.last and group.count <= _ONE_OFF and group.last - group.first <= _BURST:
        found.append("one-off")
    if len(group.source.addresses) >= _MANY and group.source.outside:
        found.append("many strangers")
    if also:
        found.append("admits more")
    return tuple(found)
