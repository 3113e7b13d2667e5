"""What of the agent's own configuration changes a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from flowmine.errors import UsageError

__all__ = ["Config", "Enforcement"]


class Enforcement(StrEnum):
    """Cilium's `policyEnforcementMode`.

    | mode    | an endpoint that no policy selects | deny rules |
    |---------|------------------------------------|------------|
    | default | open                               | in effect  |
    | always  | closed both ways                   | in effect  |
    | never   | open                               | ignored    |
    """

    DEFAULT = "default"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Config:
    """The agent's options that verdicts depend on; the defaults are those of Cilium 1.19.

    `allow_localhost` is `always` or `policy` (`auto` means `always` in Kubernetes); `ipv6` is dual stack, where
    `reserved:world` splits into `world-ipv4` and `world-ipv6`.
    """

    enforcement: Enforcement = Enforcement.DEFAULT
    policy_default_local_cluster: bool = True
    ipv6: bool = False
    host_firewall: bool = True
    allow_localhost: str = "always"
    enable_node_selector_labels: bool = False
    policy_cidr_match_nodes: bool = False
    enable_extended_ip_protocols: bool = False
    cluster_name: str = "default"

    @classmethod
    def of(cls, enforcement: str = "default", options: Mapping[str, Any] | None = None) -> "Config":
        """Return the configuration of an enforcement mode and options by name.

        Raise UsageError where a mode, an option or a value is unknown.
        """
        try:
            mode = Enforcement(enforcement)
        except ValueError as error:
            known = ", ".join(Enforcement)
            raise UsageError(f"unknown enforcement mode {enforcement!r} (known: {known})") from error
        kinds = {each.name: type(each.default) for each in fields(cls) if each.name != "enforcement"}
        for name, value in (options or {}).items():
            if name not in kinds:
                raise UsageError(f"unknown engine option {name!r} (known: {', '.join(sorted(kinds))})")
            if not isinstance(value, kinds[name]):
                raise UsageError(f"engine option {name} is {value!r}, expected a {kinds[name].__name__}")
        made = replace(cls(), enforcement=mode, **(options or {}))
        if made.allow_localhost not in ("always", "auto", "policy"):
            raise UsageError(f"allow_localhost is {made.allow_localhost!r} (known: always, auto, policy)")
        return made
