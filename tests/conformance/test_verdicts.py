"""Every verdict recorded from Cilium 1.19.4's own engine, asked of ours."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from flowmine import PolicySet

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "conformance"
OWN = ("cases-dev.jsonl.gz", "facts-cases.jsonl.gz")
THEIRS = ("seeds-cases.jsonl", "examples-cases.jsonl")
ALWAYS = ("egress", "ingress", "verdict")
DETAILS = ("http_allowed", "dns_allowed", "egress_by", "ingress_by")
PROXIES = ("egress_l7", "ingress_l7", "egress_parser", "ingress_parser", "egress_auth", "ingress_auth")

Case = dict[str, Any]


def read(path: Path) -> list[Case]:
    """Return the cases of a file of JSON Lines, compressed or not."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def own_cases() -> list[Any]:
    """Return the cases that the project carries, one parameter each."""
    return [pytest.param(case, id=case["name"]) for name in OWN for case in read(HERE / name)]


def answers(case: Case) -> tuple[PolicySet, list[dict[str, Any]]]:
    """Return the case's policies, loaded, and our verdicts on its queries."""
    policies = PolicySet.from_dicts(case["policies"], enforcement=case["enforcement"], config=case["config"])
    return policies, policies.verdicts(case["queries"])


def comparable(verdict: dict[str, Any]) -> dict[str, Any]:
    """Return what must agree: all that is said, with the proxies' flags only where they are true."""
    kept = {name: verdict[name] for name in (*ALWAYS, *DETAILS) if name in verdict}
    return kept | {name: verdict[name] for name in PROXIES if verdict.get(name)}


def check(case: Case) -> None:
    """Assert that every verdict of a case agrees, and that the same policies are refused."""
    policies, verdicts = answers(case)
    wanted = [comparable(expected) for expected in case["expected"]]
    assert wanted == [comparable(verdict) for verdict in verdicts]
    refused = {each["policy"].rpartition("/")[2] for each in case.get("load_errors") or ()}
    assert refused == {problem.policy.rpartition("/")[2] for problem in policies.problems()}


@pytest.mark.parametrize("case", own_cases())
def test_verdicts_are_ciliums(case: Case) -> None:
    """Each recorded query gets the outcome, the deciding policies and the proxy that Cilium's engine gave it."""
    check(case)


@pytest.mark.parametrize("name", THEIRS)
def test_verdicts_on_documents_beside_the_checkout(name: str) -> None:
    """The seed documents' policies and Cilium's own examples are judged as Cilium's engine judged them."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here: it holds others' texts, which the project does not carry")
    for case in read(path):
        check(case)


def test_the_cases_are_all_there() -> None:
    """The files hold as many cases and queries as were recorded: none was dropped to make the suite pass."""
    counted = {
        name: (len(cases), sum(len(case["queries"]) for case in cases))
        for name in OWN
        for cases in [read(HERE / name)]
    }
    assert counted == {"cases-dev.jsonl.gz": (726, 22876), "facts-cases.jsonl.gz": (181, 399)}
