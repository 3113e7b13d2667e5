"""The in-tree shape of Hubble's messages is that of the API itself."""

import csv
from pathlib import Path

import pytest

from flowmine.dropreasons import NAMES, POLICY, TEXTS
from flowmine.ingest.message import ENUM_NUMBERS, fields_of

FIELDS = Path(__file__).parents[3] / "shared" / "hubble-api" / "fields.csv"

needs_api = pytest.mark.skipif(
    not FIELDS.is_file(), reason="../shared/hubble-api, the API as a table, is not here"
)


def rows(kind: str, name: str) -> list[list[str]]:
    """The rows of a message or enumeration."""
    with FIELDS.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.reader(file) if row[:2] == [kind, name]]


@needs_api
@pytest.mark.parametrize(
    "message",
    [
        "Flow",
        "Endpoint",
        "IP",
        "Layer4",
        "Layer7",
        "HTTP",
        "DNS",
        "TCP",
        "UDP",
        "Policy",
        "LostEvent",
        "TCPFlags",
        "Tunnel",
    ],
)
def test_messages_have_the_apis_fields_in_its_order(message: str) -> None:
    """Names, order and which fields repeat are the API's."""
    expected = [(row[3], row[5] == "repeated") for row in rows("message", f"flow.{message}")]
    assert expected == [(name, repeated) for name, (_, repeated) in fields_of(message).items()]


@needs_api
@pytest.mark.parametrize("enum", sorted(ENUM_NUMBERS.keys() - {"TunnelProtocol", "NodeState"}))
def test_enumerations_have_the_apis_numbers(enum: str) -> None:
    """Every name has its number."""
    assert {row[3]: int(row[2]) for row in rows("enum", f"flow.{enum}")} == ENUM_NUMBERS[enum]


@needs_api
def test_drop_reasons_have_their_texts_and_who_did_it() -> None:
    """Every drop reason has the text on Hubble's screen, and those that are a policy's doing are marked."""
    told = {int(row[2]): row[7] for row in rows("enum", "flow.DropReason")}
    assert {number: text.split(";")[0].removeprefix("text=") for number, text in told.items()} == {
        number: text for number, text in TEXTS.items() if number in NAMES
    }
    assert {NAMES[number] for number, text in told.items() if "policy_drop=yes" in text} == POLICY
