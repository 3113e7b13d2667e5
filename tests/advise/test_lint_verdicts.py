"""What lint calls without effect has none: the engine says the same without it, over every recorded case."""

import copy
import gzip
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from flowmine import PolicySet
from flowmine.advise.finding import Finding
from flowmine.advise.lint import lint
from flowmine.engine.config import Config
from flowmine.policy.files import Document

CASES = Path(__file__).parents[1] / "conformance"
SAME = ("egress", "ingress", "verdict", "http_allowed", "dns_allowed")
CHECKED = ("duplicate", "deny-shadows-allow", "l7-bypassed", "selects-nothing", "host-selector")

Case = dict[str, Any]


def cases() -> list[Case]:
    names = ("cases-dev.jsonl.gz", "facts-cases.jsonl.gz")
    lines = [line for name in names for line in gzip.decompress((CASES / name).read_bytes()).splitlines()]
    return [json.loads(line) for line in lines]


def found(case: Case) -> list[Finding]:
    documents = [Document("case", number, 1, value) for number, value in enumerate(case["policies"], 1)]
    config = Config.of(case["enforcement"], case["config"])
    return lint(documents, config=config, rules=CHECKED)


def verdicts(case: Case, policies: list[Any]) -> list[dict[str, Any]]:
    loaded = PolicySet.from_dicts(policies, enforcement=case["enforcement"], config=case["config"])
    return [{name: each.get(name) for name in SAME} for each in loaded.verdicts(case["queries"])]


def without(case: Case, finding: Finding) -> list[Any] | None:
    """The case's policies without what is said to have no effect; None where that cannot be written down."""
    policies = copy.deepcopy(case["policies"])
    policy = policies[finding.document - 1]
    if finding.rule in ("selects-nothing", "host-selector"):
        head = finding.path.partition(".")[0]
        if head != "spec" or "specs" in policy:
            return None
        return [each for each in policies if each is not policy]
    place = re.match(r"(spec|specs\[(\d+)\])\.(ingress|egress)\[(\d+)\]", finding.path)
    if place is None or policy["kind"] == "NetworkPolicy":
        return None
    spec = policy["spec"] if place[2] is None else policy["specs"][int(place[2])]
    entries = spec[place[3]]
    if finding.rule == "l7-bypassed":
        if "no effect on" in finding.message:  # on some of its ports only
            return None
        ports = entries[int(place[4])]["toPorts"]
        if len(ports) != 1:
            return None
        del ports[0]["rules"]
    else:
        entries[int(place[4])] = {}  # admits nothing, and closes the direction as the rule did
    return policies


def test_what_has_no_effect_changes_no_verdict() -> None:
    """Taking out a duplicate, a shadowed rule, lifted L7 rules or a policy that selects nothing changes nothing."""
    tried = Counter()
    for case in cases():
        for finding in found(case):
            changed = without(case, finding)
            if changed is not None:
                tried[finding.rule] += 1
                told = f"{case['name']}: {finding.where}: {finding.message}"
                assert verdicts(case, case["policies"]) == verdicts(case, changed), told
    assert set(CHECKED) == set(tried)
