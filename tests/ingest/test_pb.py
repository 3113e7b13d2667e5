"""Hubble's messages: as its API has them, generated anew without a change, and in a pool of their own."""

import base64
import csv
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from flowmine.ingest import pb
from flowmine.ingest.message import ENUM_NUMBERS, fields_of
from flowmine.ingest.pb import flow_pb2, observer_pb2
from flowmine.ingest.pb.pool import POOL, message

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
API = SHARED / "hubble-api" / "fields.csv"
needs_api = pytest.mark.skipif(
    not API.is_file(), reason="../shared/hubble-api, the API as a table, is not here"
)
needs_wire = pytest.mark.skipif(
    not (SHARED / "wire").is_dir(), reason="../shared/wire, golden wire data, is not here"
)

TYPES = {
    value: name.removeprefix("TYPE_").lower()
    for name, value in json_format.descriptor.FieldDescriptor.__dict__.items()
    if name.startswith("TYPE_")
}


def rows(kind: str) -> list[dict[str, str]]:
    """Return the table's rows of a kind that belong to flowmine's three files."""
    with API.open(newline="") as file:
        found = [row for row in csv.DictReader(file) if row["kind"] == kind]
    return [row for row in found if not row["full_name"].startswith(("peer.", "google."))]


def table_row(field: Any) -> dict[str, str]:
    """Return a field as the table writes it."""
    kind = TYPES[field.type]
    if field.message_type is not None:
        kind = field.message_type.full_name
    elif field.enum_type is not None:
        kind = f"enum {field.enum_type.full_name}"
    one_of = field.containing_oneof
    repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
    label = "repeated" if repeated else f"oneof:{one_of.name}" if one_of is not None else "optional"
    return {
        "kind": "message",
        "full_name": field.containing_type.full_name,
        "number": str(field.number),
        "name": field.name,
        "type": kind,
        "label": label,
        "deprecated": str(field.GetOptions().deprecated).lower(),
        "extra": f"json={field.json_name}",
    }


@needs_api
def test_fields_are_those_of_the_api() -> None:
    """Every message has the fields of Hubble's API in its order, with number, type, label and JSON name, and no other."""
    expected: dict[str, list[dict[str, str]]] = {}
    for row in rows("message"):
        expected.setdefault(row["full_name"], []).extend([row] if row["name"] else [])
    declared = {name: POOL.FindMessageTypeByName(name).fields for name in expected}
    actual = {
        name: [table_row(field) for field in sorted(fields, key=lambda field: field.index)]
        for name, fields in declared.items()
    }
    assert expected == actual


@needs_api
def test_enumerations_are_those_of_the_api() -> None:
    """Every enumeration has the values and numbers of Hubble's API."""
    expected: dict[str, dict[str, int]] = {}
    for row in rows("enum"):
        expected.setdefault(row["full_name"], {})[row["name"]] = int(row["number"])
    actual = {
        name: {value.name: value.number for value in POOL.FindEnumTypeByName(name).values}
        for name in expected
    }
    assert expected == actual


@needs_api
def test_removed_fields_stay_reserved() -> None:
    """A number that Hubble once used and removed cannot be used again."""
    from google.protobuf.descriptor_pb2 import DescriptorProto

    for row in rows("reserved"):
        found = DescriptorProto()
        POOL.FindMessageTypeByName(row["full_name"]).CopyToProto(found)
        ranges = " ".join(f"{one.start}-{one.end - 1}" for one in found.reserved_range)
        assert row["number"] == ranges, row["full_name"]


@needs_api
def test_methods_are_those_of_the_api() -> None:
    """The service has the paths, messages and streams of Hubble's."""
    expected = {
        row["name"]: (row["type"], f"path={method.path}", row["label"] == "server-stream")
        for row in rows("service")
        if (method := observer_pb2.Observer[row["name"]])
    }
    actual = {
        name: (
            f"{method.request.DESCRIPTOR.full_name} -> {method.response.DESCRIPTOR.full_name}",
            f"path=/observer.Observer/{name}",
            method.streams,
        )
        for name, method in observer_pb2.Observer.items()
    }
    assert expected == actual


def golden(name: str, kind: str) -> list[Any]:
    """Return the golden messages of a file."""
    lines = (SHARED / "wire" / f"{name}.bin.b64").read_text().split()
    return [message(f"observer.{kind}").FromString(base64.b64decode(line)) for line in lines]


def from_json(name: str, kind: str) -> list[Any]:
    """Return the messages that the JSON lines of a file tell."""
    lines = (SHARED / "wire" / f"{name}.jsonl").read_text().splitlines()
    return [
        json_format.ParseDict(json.loads(line), message(f"observer.{kind}")(), descriptor_pool=POOL)
        for line in lines
    ]


@needs_wire
def test_golden_flows_are_their_json() -> None:
    """Each golden response says what the JSON line beside it says, and nothing unknown."""
    expected, actual = from_json("flows.in", "GetFlowsResponse"), golden("flows", "GetFlowsResponse")
    assert expected == actual
    sizes = [one.ByteSize() for one in actual]
    for one in actual:
        one.DiscardUnknownFields()
    assert sizes == [one.ByteSize() for one in actual]


@needs_wire
@pytest.mark.parametrize("kind", ["agent", "debug"])
def test_golden_events_are_their_json(kind: str) -> None:
    """Each agent and debug event that Hubble printed is one of the golden messages, but for the printing node's name."""
    printed = from_json(f"{kind}_events", f"Get{kind.title()}EventsResponse")
    told = golden(f"{kind}_events", f"Get{kind.title()}EventsResponse")
    for one in [*printed, *told]:
        one.ClearField("node_name")
    assert [] == [one for one in printed if one not in told]


def test_the_table_of_messages_in_ingest_agrees() -> None:
    """The shapes that the filters and the JSON writer go by are those of the messages."""
    for name in ("Flow", "Endpoint", "DNS", "HTTP", "TCPFlags", "LostEvent", "IP", "Tunnel", "Policy"):
        declared = POOL.FindMessageTypeByName(f"flow.{name}").fields
        ordered = [field.name for field in sorted(declared, key=lambda field: field.index)]
        assert list(fields_of(name)) == ordered, name
    assert ENUM_NUMBERS["DropReason"] == dict(flow_pb2.DropReason.items())


FOREIGN = """
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import GetMessageClass

def foreign():
    file = descriptor_pb2.FileDescriptorProto(name="flow/flow.proto", package="flow", syntax="proto3")
    file.message_type.add(name="Flow").field.add(name="colour", number=1, type=9, label=1)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName("flow.Flow"))

def ours():
    from flowmine.ingest.pb.flow_pb2 import Flow
    return Flow

{first}, {second} = {first}(), {second}()
assert foreign(colour="red").SerializeToString() == bytes([10, 3]) + b"red"
assert ours(verdict="DROPPED").SerializeToString() == bytes([16, 2])
"""


@pytest.mark.parametrize(("first", "second"), [("foreign", "ours"), ("ours", "foreign")])
def test_another_flow_proto_in_the_process(first: str, second: str) -> None:
    """Another package's flow/flow.proto and flowmine's live in one process, whichever comes first."""
    script = FOREIGN.replace("{first}", first).replace("{second}", second)
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (0, "") == (result.returncode, result.stderr)


def test_generating_anew_changes_nothing() -> None:
    """The modules in flowmine/ingest/pb are what proto/generate.py makes of the .proto files."""
    pytest.importorskip("grpc_tools", reason="grpcio-tools, which compiles .proto files, is not installed")
    made = dict(runpy.run_path(str(ROOT / "proto" / "generate.py"))["modules"]())
    folder = Path(pb.__path__[0])
    kept = {path.name: path.read_text() for path in folder.glob("*_pb2.py")}
    assert made == kept
