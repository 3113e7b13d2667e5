"""The agent's options."""

import pytest

from flowmine.engine.config import Config, Enforcement
from flowmine.errors import UsageError


def test_the_defaults_are_those_of_cilium() -> None:
    """Without options the configuration is that of Cilium 1.19."""
    assert Config.of() == Config(
        enforcement=Enforcement.DEFAULT,
        policy_default_local_cluster=True,
        ipv6=False,
        host_firewall=True,
        allow_localhost="always",
        cluster_name="default",
    )


def test_options_are_taken_by_name() -> None:
    """Options change what they name and nothing else."""
    assert Config.of("always", {"ipv6": True}) == Config(enforcement=Enforcement.ALWAYS, ipv6=True)


@pytest.mark.parametrize(
    ("enforcement", "options", "told"),
    [
        ("strict", {}, "unknown enforcement mode 'strict'"),
        ("default", {"ipv5": True}, "unknown engine option 'ipv5'"),
        ("default", {"ipv6": "true"}, "ipv6 is 'true', expected a bool"),
        ("default", {"allow_localhost": "never"}, "allow_localhost is 'never'"),
    ],
)
def test_what_is_unknown_is_refused(enforcement: str, options: dict[str, object], told: str) -> None:
    """Unknown modes, options and values are usage errors that say what is known."""
    with pytest.raises(UsageError, match=told):
        Config.of(enforcement, options)
