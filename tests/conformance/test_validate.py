"""Validation agrees with Kubernetes and Cilium on recorded cases, and the table of fields with Cilium's own CRDs."""

import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmine.errors import PolicyError
from flowmine.policy import files, limits
from flowmine.policy.kinds import KINDS
from flowmine.policy.manifest import RULE
from flowmine.policy.shape import Flag, Many, Record, Shape, Table, Text, Whole, WholeOrText
from flowmine.policy.validate import Features, Unknown, is_accepted, validate
from flowmine.policy.yamlread import read_documents

SHARED = Path(__file__).resolve().parents[3] / "shared"
CONFORMANCE = SHARED / "conformance"
CRD = SHARED / "crds" / "ciliumnetworkpolicies.yaml"
GATEWAY_CRD = SHARED / "crds" / "ciliumegressgatewaypolicies.yaml"
UNKNOWN: tuple[Unknown, Unknown] = ("error", "prune")
INVALID_CASES = Path(__file__).with_name("invalid-cases.jsonl.gz")

needs_conformance = pytest.mark.skipif(not CONFORMANCE.is_dir(), reason="../shared/conformance is absent")
needs_crds = pytest.mark.skipif(not CRD.is_file(), reason="../shared/crds is absent")


def invalid_cases() -> list[Any]:
    with gzip.open(INVALID_CASES, "rt", encoding="utf-8") as lines:
        return [pytest.param(case, id=case["name"]) for case in map(json.loads, lines)]


@pytest.mark.parametrize("case", invalid_cases())
def test_invalid_cases(case: dict[str, Any]) -> None:
    """Every recorded manifest is accepted or refused as recorded, with unknown fields refused and pruned."""
    assert (case["ok"], case["ok_pruned"]) == (accepted(case, "error"), accepted(case, "prune"))


def accepted(case: dict[str, Any], unknown: Unknown) -> bool:
    """Tell whether a case's manifest, given as a value or as a YAML text, is taken."""
    if "policy" in case:
        return is_accepted(validate(case["policy"], unknown=unknown))
    try:
        documents = list(read_documents(case["yaml"], case["name"], repeated_keys=unknown == "prune"))
    except PolicyError:
        return False
    return all(is_accepted(validate(document.value, unknown=unknown)) for document in documents)


@needs_conformance
def test_invalid_cases_are_the_recorded_ones() -> None:
    """The copy of the cases in the tree is what the recordings hold."""
    kept = [
        {key: case[key] for key in ("name", "policy", "yaml", "ok", "ok_pruned") if key in case}
        for case in recorded("invalid-cases.jsonl")
    ]
    assert kept == [param.values[0] for param in invalid_cases()]


@needs_conformance
def test_seed_objects() -> None:
    """The corrected and completed policies of the seeds are accepted or refused as recorded."""
    cases = [case for case in recorded("seeds-validate.jsonl") if "object" in case]
    for case in cases:
        strict, lenient = (is_accepted(validate(case["object"], unknown=unknown)) for unknown in UNKNOWN)
        assert (case["name"], case["ok"], case["ok_pruned"]) == (case["name"], strict, lenient)
    assert len(cases) == 9


@needs_conformance
def test_examples() -> None:
    """Cilium's own example policies are accepted or refused as recorded."""
    verdicts: dict[tuple[str, str], dict[str, Any]] = {}
    for verdict in recorded("examples-validate.jsonl"):
        verdicts.setdefault((case_name(verdict["file"]), verdict["name"]), verdict)
    judged = 0
    for case in recorded("examples-cases.jsonl"):
        for manifest in case["policies"]:
            name = manifest["metadata"]["name"]
            # A file of several policies has a case for each, named after the file and the policy.
            verdict = (
                verdicts.get((case["name"], name)) or verdicts[case["name"].removesuffix(f"-{name}"), name]
            )
            strict, lenient = (is_accepted(validate(manifest, unknown=unknown)) for unknown in UNKNOWN)
            assert (verdict["file"], verdict["ok"], verdict["ok_pruned"]) == (
                verdict["file"],
                strict,
                lenient,
            )
            judged += 1
    assert judged >= 50


def case_name(file: str) -> str:
    """Return the name that the verdict cases have for a file of Cilium's examples."""
    return "example-" + file.removeprefix("./").removesuffix(".yaml").replace("/", "-")


def recorded(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CONFORMANCE / name).read_text().splitlines()]


@needs_conformance
def test_seed_files(tmp_path: Path) -> None:
    """Each YAML text of the seeds, read from a file, holds as many policies as recorded, refused or accepted alike."""
    cases = recorded("seeds-validate.jsonl")
    texts = {case["file"]: case["yaml"] for case in cases if case.get("yaml")}
    assert texts
    for name, text in texts.items():
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        expected = [case["ok"] for case in cases if case["file"] == name and not case.get("skipped")]
        assert expected == verdicts_of(path), name


def verdicts_of(path: Path) -> list[bool]:
    try:
        return [is_accepted(validate(document.value)) for document in files.load(path).documents]
    except PolicyError:
        return [False]


@needs_conformance
@pytest.mark.parametrize("name", ["facts-cases.jsonl", "seeds-cases.jsonl", "examples-cases.jsonl"])
def test_policies_of_verdict_cases(name: str) -> None:
    """A policy of the verdict cases is refused exactly where Cilium did not load it, and at the stage that refused it."""
    for case in recorded(name):
        refused = {error["policy"]: error["stage"] for error in case.get("load_errors") or ()}
        features = Features(
            node_selector_labels=case["config"].get("enable_node_selector_labels", False),
            extended_ip_protocols=case["config"].get("enable_extended_ip_protocols", False),
        )
        for manifest in case["policies"]:
            metadata = manifest["metadata"]
            ref = f"{manifest['kind']}/{metadata.get('namespace', '')}/{metadata['name']}"
            problems = validate(manifest, unknown="prune", features=features)
            assert (case["name"], ref in refused) == (case["name"], not is_accepted(problems))
            if ref in refused:
                assert refused[ref] in {problem.stage for problem in problems}


def crd_schema(path: Path) -> dict[str, Any]:
    """Return the schema of version v2 of a CRD."""
    crd = yaml.safe_load(path.read_text())
    (version,) = [each for each in crd["spec"]["versions"] if each["name"] == "v2"]
    return dict(version["schema"]["openAPIV3Schema"]["properties"])


@needs_crds
def test_rule_fields_are_the_crds() -> None:
    """The table of a rule's fields has the CRD's names, types, required fields, choices and bounds, and no others."""
    schema = crd_schema(CRD)["spec"]
    assert crd_outline(schema, at_root=True) == table_outline(RULE)


@needs_crds
def test_gateway_fields_are_the_crds() -> None:
    """The table of an egress gateway policy's fields has the CRD's names, types, required fields and bounds."""
    shape = next(
        field.shape for field in KINDS["CiliumEgressGatewayPolicy"].manifest.fields if field.name == "spec"
    )
    assert crd_outline(crd_schema(GATEWAY_CRD)["spec"]) == table_outline(shape)


def crd_outline(schema: dict[str, Any], *, at_root: bool = False) -> Any:
    """Reduce a CRD schema to what our table says; the root's oneOf and anyOf are told by the agent's checks."""
    if schema.get("x-kubernetes-int-or-string"):
        return ("whole or text",)
    kind = schema["type"]
    if kind == "object" and "additionalProperties" in schema:
        return ("table", crd_outline(schema["additionalProperties"])[:2])
    if kind == "object":
        choices = () if at_root else tuple(sorted(each["required"][0] for each in schema.get("oneOf", ())))
        fields = {name: crd_outline(each) for name, each in schema["properties"].items()}
        return ("record", fields, tuple(sorted(schema.get("required", ()))), choices)
    if kind == "array":
        unique = schema.get("x-kubernetes-list-type") == "set"
        return (
            "many",
            schema.get("minItems", 0),
            schema.get("maxItems"),
            unique,
            crd_outline(schema["items"]),
        )
    if kind == "integer":
        return ("whole", schema["minimum"], schema["maximum"])
    if kind == "boolean":
        return ("flag",)
    # 63 is a label's and 253 an object's; both are within the checks of the same name.
    longest = schema.get("maxLength") if schema.get("maxLength") not in (63, 253) else None
    return ("text", tuple(sorted(schema.get("enum", ()))), longest)


def table_outline(shape: Shape) -> Any:
    """Reduce our table likewise."""
    match shape:
        case Record():
            fields = {field.name: table_outline(field.shape) for field in shape.fields}
            required = tuple(sorted(field.name for field in shape.fields if field.required))
            return ("record", fields, required, tuple(sorted(shape.one_of)))
        case Many():
            return ("many", shape.least, shape.most, shape.unique, table_outline(shape.item))
        case Table():
            return ("table", table_outline(shape.value)[:2])
        case Text():
            return ("text", tuple(sorted(shape.choices)), shape.longest)
        case Whole():
            return ("whole", shape.least, shape.most)
        case WholeOrText():
            return ("whole or text",)
        case Flag():
            return ("flag",)
        case _:
            raise AssertionError(shape)


@cache
def crd_patterns() -> dict[str, str]:
    """Return the CRD's patterns by the last name of their path."""
    found: dict[str, str] = {}

    def walk(schema: dict[str, Any], name: str) -> None:
        if "pattern" in schema:
            found[name] = schema["pattern"]
        for key, each in schema.get("properties", {}).items():
            walk(each, key)
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                walk(schema[key], name)

    walk(crd_schema(CRD)["spec"], "")
    return found


PATTERN_CHECKS = {
    "matchLabels": limits.label_value,
    "cidrGroupRef": limits.object_name,
    "matchName": limits.dns_name,
    "matchPattern": limits.dns_pattern,
    "serverNames": limits.server_name,
    "port": limits.port,
    "type": limits.icmp_type,
    "value": limits.printable,
}


@needs_crds
def test_every_pattern_has_a_check() -> None:
    """Each pattern of the CRD is one that a check of ours stands for."""
    assert set(PATTERN_CHECKS) == set(crd_patterns())


texts = st.text(alphabet="aZ09-_.*:/, \n", max_size=12) | st.sampled_from(
    [
        "http",
        "443",
        "65535",
        "65536",
        "1-2",
        "a.b",
        "*.a.io",
        "**.a",
        "EchoReply",
        "255",
        "256",
        "a" * 64,
        "-a",
        "a-",
        "",
    ]
)


@needs_crds
@settings(deadline=None)
@given(text=texts, name=st.sampled_from(sorted(set(PATTERN_CHECKS) - {"value"})))
def test_checks_agree_with_the_patterns(text: str, name: str) -> None:
    """A check refuses exactly the texts that the CRD's pattern does not find, lengths apart."""
    pattern = crd_patterns()[name].replace("$", r"\Z")
    longest = {"matchLabels": 63}.get(name, 255)
    expected = re.search(pattern, text) is not None and len(text) <= longest
    assert expected == (PATTERN_CHECKS[name](text) is None)
