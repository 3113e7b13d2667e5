"""What pods, workloads and objects are called."""

import pytest

from flowmine.synth.naming import dns_name, looks_generated, shared_name, workload_of_pod, workload_token


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ("web-7d9f8b6c5d-x2x4z", "Deployment/web"),
        ("redis-cart-54dddb86bf-fk9nv", "Deployment/redis-cart"),
        ("backup-28412345-x2x4z", "CronJob/backup"),
        ("db-0", "StatefulSet/db"),
        ("agent-x2x4z", "?/agent"),
        ("plain", "Pod/plain"),
        ("", ""),
    ],
)
def test_pod_names_tell_their_workload(pod, expected):
    """Controllers name pods in known ways, from which the workload can be told."""
    assert expected == workload_of_pod(pod)


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        ("Job/backup-28412345", "CronJob/backup"),
        ("CronJob/backup", "CronJob/backup"),
        ("ReplicaSet/web-7d9f8b6c5d", "Deployment/web"),
        ("Job/migrate-3f2a91c", "Job/migrate"),
        ("Job/load-data", "Job/load-data"),
        ("StatefulSet/db", "StatefulSet/db"),
        ("Deployment/app-2024", "Deployment/app-2024"),
    ],
)
def test_runs_and_rollouts_have_one_token(workload, expected):
    """What changes per run or rollout is taken off a workload's name, and nothing else."""
    assert expected == workload_token(workload)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3f2a91c", True),
        ("5d4c6e1f-0b5a-4a51-9d2e-2b1f0c7a9e11", True),
        ("28412345", True),
        ("20261120", True),
        ("2026-11-20", True),
        ("frontend", False),
        ("v1", False),
        ("1.10.0", False),
        ("web-2", False),
        ("facade", False),
        ("", False),
    ],
)
def test_machine_made_values_are_told_from_words(value, expected):
    """Hashes, UUIDs, long numbers and times are machine made; words and short numbers are not."""
    assert expected == looks_generated(value)


def test_several_names_share_their_beginning():
    """One name for several is what they begin with, in whole parts, or else the first of them."""
    assert "shop" == shared_name(["shop-blue", "shop-green"])
    assert "alpha" == shared_name(["beta", "alpha"])
    assert "" == shared_name([])


@pytest.mark.parametrize("text", ["My_App", "a..b", "-x-", "é", "x" * 400, "a.-b", "UPPER.Case-"])
def test_object_names_are_valid(text):
    """Whatever a label or workload holds, the object's name is one that Kubernetes takes."""
    import re

    name = dns_name(text)
    label = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    assert re.fullmatch(rf"{label}(\.{label})*", name) and len(name) <= 253
