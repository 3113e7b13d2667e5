"""The file of `--known`: blocks of addresses that a person has given a name."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

from flowmine.errors import InputError
from flowmine.synth.options import Known

__all__ = ["read_known"]


def read_known(path: Path) -> tuple[Known, ...]:
    """Return the blocks that a file names, sorted.

    Lines of `CIDR NAME` or `CIDR,NAME` (a heading and `#` comments are passed over), or YAML: a mapping of names to a
    CIDR or a list of them. Raise InputError, naming file and line, where a block cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if path.suffix in (".yaml", ".yml", ".json"):
        return tuple(sorted(set(_of_mapping(text, path))))
    return tuple(sorted(set(_of_lines(text, path))))


def _of_lines(text: str, path: Path) -> list[Known]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        plain = line.partition("#")[0].strip()
        if not plain or (number == 1 and plain.lower().startswith("cidr")):
            continue
        cidr, _, name = plain.replace("\t", " ").replace(",", " ", 1).partition(" ")
        found.append(_known(cidr.strip(), name.strip().strip('"'), f"{path}:{number}"))
    return found


def _of_mapping(text: str, path: Path) -> list[Known]:
    from flowmine.yamlvalue import yaml_value

    try:
        values: Any = yaml_value(text)
    except ValueError as error:
        raise InputError(f"{path}: not YAML: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected names with their CIDRs, as in `vpn: 172.27.224.3/32`")
    blocks = [
        (name, block)
        for name, some in values.items()
        for block in (some if isinstance(some, list) else [some])
    ]
    if any(isinstance(block, list | dict) for _, block in blocks):
        raise InputError(f"{path}: expected CIDRs beside each name, as in `vpn: [172.27.224.3/32]`")
    return [_known(str(block), str(name), f"{path}: {name}") for name, block in blocks]


def _known(cidr: str, name: str, where: str) -> Known:
    try:
        network = ip_network(cidr)
    except ValueError as error:
        raise InputError(f"{where}: {error} (write CIDR NAME, such as 172.27.224.3/32 vpn)") from error
    if not name:
        raise InputError(f"{where}: {cidr} has no name (write CIDR NAME)")
    return Known(str(network), name)
