"""Exit codes: what every command finds of each class, that `--fail-on` makes it fail, and that the page says the same."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result

from flowmine.cli import COMMANDS, main
from flowmine.cli.exitcodes import CLASSES
from tests.cli.events import capture, drop, lost, pod, record

SAMPLES = Path(__file__).parents[2] / "sample_flows"
PAGE = Path(__file__).parents[2] / "flowmine" / "docs" / "exit-codes.md"
AUDITED: dict[str, Any] = {
    "verdict": "AUDIT",
    "event_type": {"type": 5},
    "trace_observation_point": None,
    "policy_match_type": 0,
}
REMOTE = {key: value for key, value in pod("web", 1).items() if key != "ID"}
SCAN = [
    drop(
        9,
        uuid=f"00000000-0000-4000-9000-{port:012}",
        l4={"TCP": {"source_port": 50000, "destination_port": port, "flags": {"SYN": True}}},
    )
    for port in range(1, 60)
]
OTHER = drop(4, drop_reason_desc="SERVICE_BACKEND_NOT_FOUND", event_type={"type": 1, "sub_type": 158})


def run(*args: object) -> Result:
    """Run a command line."""
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


class Bench:
    """A folder with captures and policies of which each holds one thing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def flows(self, *records: dict[str, Any], tail: str = "") -> str:
        """Write a capture."""
        self._count += 1
        path = self.folder / f"flows{self._count}.jsonl"
        capture(path, *records)
        path.write_text(path.read_text() + tail)
        return str(path)

    def policy(self, *ingress: dict[str, Any], text: str = "", **spec: Any) -> str:
        """Write a policy of the namespace shop."""
        self._count += 1
        path = self.folder / f"policy{self._count}.yaml"
        made = {
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumNetworkPolicy",
            "metadata": {"name": "p", "namespace": "shop"},
            "spec": {"endpointSelector": {}, "ingress": list(ingress), **spec},
        }
        path.write_text(yaml.safe_dump(made) + text)
        return str(path)

    @property
    def plain(self) -> str:
        """A capture with one delivered connection."""
        return self.flows(record(1))

    @property
    def open(self) -> str:
        """A policy that allows everything."""
        return self.policy({"fromEntities": ["all"]}, egress=[{"toEntities": ["all"]}])

    @property
    def shut(self) -> str:
        """A policy that allows nothing in."""
        return self.policy({})

    def where(self, name: str) -> Path:
        """A path that is not there yet."""
        self._count += 1
        return self.folder / f"{name}{self._count}"


Line = tuple[object, ...]
GAP, SKIPPED = (record(1), lost(2)), "no event\n"
READERS: dict[str, Callable[[Bench], Line]] = {
    "recommend": lambda _: (),
    "visibility": lambda _: ("-n", "shop", "--http", "8080"),
    "tail": lambda _: ("-o", "json"),
    "capture": lambda b: ("-d", b.where("recorded")),
    "flows": lambda _: (),
    "edges": lambda _: (),
    "drops": lambda _: (),
    "simulate": lambda b: ("--policies", b.open),
    "explain": lambda b: ("--policies", b.open),
    "report": lambda b: ("-o", b.where("page").with_suffix(".json")),
}
"""Command -> what stands after its capture."""


def _read(command: str, b: Bench, found: bool, name: str) -> Line:
    """Return a line over a capture that has, or has not, a gap or a skipped line."""
    troubled = {"gap": lambda: b.flows(*GAP), "skipped": lambda: b.flows(record(1), tail=SKIPPED)}
    given = troubled[name]() if found else b.plain
    if command == "lint":
        return (b.open, "--flows", given)
    return (given, *READERS[command](b))


def _dropped(b: Bench, found: bool) -> str:
    return b.flows(record(1), drop(2)) if found else b.plain


def _ask(b: Bench, passes: bool) -> Line:
    return (
        "-p",
        b.open if passes else b.shut,
        "--from",
        "shop/app=web",
        "--to",
        "shop/app=api",
        "--port",
        "80/TCP",
    )


def _simulated(b: Bench, policies: str, *records: dict[str, Any], against: str = "") -> Line:
    return (b.flows(*records), "--policies", policies, *(("--against", against) if against else ()))


def _merged(b: Bench, found: bool) -> Line:
    """Return a line that merges into a folder; where nothing is to be found, one that holds it all already."""
    into = b.where("into")
    into.mkdir()
    given = b.flows(record(1), record(2, traffic_direction="EGRESS", trace_observation_point="TO_STACK"))
    if not found:
        assert run("recommend", given, "-q", "--into", into).exit_code == 0
    return (given, "--into", into, "--dry-run")


def _migrated(b: Bench, found: bool) -> Line:
    """Return a line over a window of the schema version before, or of the present one."""
    recorded = b.where("old")
    assert run("capture", b.plain, "-q", "-d", recorded).exit_code == 0
    if found:
        (manifest,) = recorded.glob("*/manifest.json")
        value = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**value, "schema": 1}))
        flows = manifest.parent / "flows.parquet"
        new = [f"{end}_{what}" for end in ("source", "destination") for what in ("pod", "identity")]
        pq.write_table(pq.read_table(flows).drop_columns(new), flows)
    return (recorded,)


CASES: dict[tuple[str, str], Callable[[Bench, bool], Line]] = {
    ("recommend", "half-seen"): lambda b, found: (b.flows(record(1, source=REMOTE)) if found else b.plain,),
    ("recommend", "left-out"): lambda b, found: (
        SAMPLES / "three-tier",
        *(("--format", "knp") if found else ()),
    ),
    ("recommend", "changed"): _merged,
    ("tail", "new-edge"): lambda b, found: (b.plain if found else b.flows(lost(1)), "-o", "json"),
    ("tail", "new-drop"): lambda b, found: (_dropped(b, found), "-o", "json"),
    ("tail", "would-drop"): lambda b, found: (
        b.plain,
        "-o",
        "json",
        "--policies",
        b.shut if found else b.open,
    ),
    ("flows", "flow"): lambda b, found: (b.plain, "--verdict", "FORWARDED" if found else "DROPPED"),
    ("edges", "dropped"): lambda b, found: (_dropped(b, found),),
    ("edges", "audited"): lambda b, found: (b.flows(record(1, **AUDITED)) if found else b.plain,),
    ("drops", "policy-drop"): lambda b, found: (_dropped(b, found),),
    ("drops", "audit-drop"): lambda b, found: (
        b.flows(record(1, **AUDITED)) if found else _dropped(b, True),
    ),
    ("drops", "gone"): lambda b, found: (
        _dropped(b, True),
        "--policies",
        b.open if found else b.policy({}, egress=[{}]),
    ),
    ("drops", "other-drop"): lambda b, found: (b.flows(OTHER) if found else _dropped(b, True),),
    ("drops", "scan"): lambda b, found: (b.flows(*SCAN) if found else _dropped(b, True),),
    ("simulate", "would-drop"): lambda b, found: _simulated(b, b.shut if found else b.open, record(1)),
    ("simulate", "newly-denied"): lambda b, found: _simulated(
        b, b.shut if found else b.open, record(1, **AUDITED), against=b.open
    ),
    ("simulate", "newly-allowed"): lambda b, found: _simulated(
        b,
        b.open if found else b.policy({"fromEntities": ["all"]}, egress=[{"toEndpoints": [{}]}]),
        record(1),
        drop(2),
    ),
    ("simulate", "noise-denied"): lambda b, found: _simulated(b, b.shut if found else b.open, *_noise()),
    ("simulate", "governed"): lambda b, found: _simulated(
        b, b.open, record(1), against="" if found else b.open
    ),
    ("simulate", "unused"): lambda b, found: _simulated(
        b, b.policy({"fromEndpoints": [{}]}, *([{"fromCIDR": ["192.0.2.0/24"]}] if found else [])), record(1)
    ),
    ("explain", "denied"): lambda b, found: (b.plain, "--policies", b.shut if found else b.open),
    ("explain", "unused"): lambda b, found: (
        b.plain,
        "--policies",
        b.policy({"fromEndpoints": [{}]}, *([{"fromCIDR": ["192.0.2.0/24"]}] if found else [])),
    ),
    ("report", "policy-drop"): lambda b, found: (_dropped(b, found), *READERS["report"](b)),
    ("report", "audit-drop"): lambda b, found: (
        b.flows(record(1, **AUDITED)) if found else b.plain,
        *READERS["report"](b),
    ),
    ("diff", "wider"): lambda b, found: (b.shut, b.open) if found else (b.open, b.shut),
    ("diff", "narrower"): lambda b, found: (b.open, b.shut) if found else (b.shut, b.open),
    ("diff", "changed"): lambda b, found: (b.open, b.shut if found else b.open),
    ("verdict", "denied"): lambda b, found: _ask(b, not found),
    ("verdict", "allowed"): _ask,
    ("trace", "denied"): lambda b, found: _ask(b, not found),
    ("trace", "allowed"): _ask,
    ("validate", "error"): lambda b, found: (b.policy({"fromCIDR": ["nonsense"]}) if found else b.open,),
    ("validate", "warning"): lambda b, found: _warned(b) if found else (b.open,),
    ("validate", "passed-over"): lambda b, found: (
        b.policy(text="---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n" if found else ""),
    ),
    ("lint", "error"): lambda b, found: (b.policy({"fromCIDR": ["nonsense"]}) if found else b.open,),
    ("lint", "warning"): lambda b, found: (_split(b) if found else b.open,),
    ("lint", "note"): lambda b, found: (_split(b) if found else b.open,),
    ("migrate", "changed"): _migrated,
    ("doctor", "problem"): lambda b, found: _kept(b, 1 if found else 5),
    ("doctor", "note"): lambda b, found: _kept(b, 0 if found else 5),
    **{
        (command, name): lambda b, found, command=command, name=name: _read(command, b, found, name)  # type: ignore[misc]
        for command in (*READERS, "lint")
        for name in ("gap", "skipped")
    },
}
"""(command, class) -> a command line on which the class is found, or is not."""


def _noise() -> list[dict[str, Any]]:
    """A scan of which one probe was delivered."""
    probe = {
        "source": {"identity": 2, "labels": ["reserved:world"]},
        "IP": {"source": "192.0.2.9", "destination": "10.0.0.2", "ipVersion": "IPv4"},
    }
    refused = {**probe, "destination": record(1)["flow"]["destination"], "traffic_direction": "INGRESS"}
    tried = [
        drop(
            9,
            **{
                **refused,
                "uuid": f"00000000-0000-4000-9000-{port:012}",
                "l4": {"TCP": {"source_port": 50000, "destination_port": port, "flags": {"SYN": True}}},
            },
        )
        for port in range(1, 60)
    ]
    hit = record(
        10, **probe, l4={"TCP": {"source_port": 50000, "destination_port": 22, "flags": {"SYN": True}}}
    )
    return [*tried, hit]


def _split(b: Bench) -> str:
    """A policy whose ports are a rule of their own, for a dash too many."""
    return b.policy({"fromEndpoints": [{}]}, {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]})


def _warned(b: Bench) -> Line:
    """A policy with an unknown field, which the API server drops with a warning."""
    return (b.policy({"fromEndpoints": [{}]}, surplus=1), "--unknown", "prune")


def _kept(bench: Bench, backups: int) -> tuple[str, ...]:
    """A capture whose exporter keeps nothing too long, everything, or enough."""
    interval = "8760h" if backups == 1 else "1h"
    return (
        bench.flows(record(1), record(2)),
        "--exporter-file-max-backups",
        str(backups),
        "--interval",
        interval,
    )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """The folder of a test."""
    return Bench(tmp_path)


def test_every_class_has_a_case() -> None:
    """No class of the table goes untried."""
    assert {(command, each.name) for command, classes in CLASSES.items() for each in classes} == set(CASES)


@pytest.mark.parametrize(("command", "name"), sorted(CASES))
def test_a_class_fails_a_run_where_it_is_found(bench: Bench, command: str, name: str) -> None:
    """With --fail-on CLASS the code is 1 where there is something of the class and 0 where not; with never it is 0."""
    there, absent = (CASES[command, name](bench, found) for found in (True, False))
    codes = [
        run(command, *line, *quiet(command), "--fail-on", word)
        for line, word in ((there, name), (absent, name), (CASES[command, name](bench, True), "never"))
    ]
    assert [1, 0, 0] == [each.exit_code for each in codes], "\n".join(each.output for each in codes)


def quiet(command: str) -> tuple[str, ...]:
    """The option that leaves the summary away, where a command has it."""
    return ("-q",) if command in READERS else ()


@pytest.mark.parametrize(("command", "name"), sorted(CASES))
def test_what_fails_unasked(bench: Bench, command: str, name: str) -> None:
    """Without --fail-on the classes marked in the table fail a run, and no others."""
    fails = {each.name for each in CLASSES[command] if each.fails}
    result = run(command, *CASES[command, name](bench, True), *quiet(command))
    asked = run(
        command,
        *CASES[command, name](bench, True),
        *quiet(command),
        *(f"--fail-on={one}" for one in fails or ["never"]),
    )
    assert asked.exit_code == result.exit_code
    assert result.exit_code in ({1} if name in fails else {0, 1} if fails else {0})


def test_classes_are_joined_by_comma(bench: Bench) -> None:
    """Several classes may be given, and any of them fails the run."""
    line = ("edges", bench.flows(record(1), drop(2)))
    assert [1, 1, 0] == [
        run(*line, *words).exit_code
        for words in (
            ("--fail-on", "audited,dropped"),
            ("--fail-on", "audited", "--fail-on", "dropped"),
            ("--fail-on", "audited"),
        )
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [("nonsense", "half-seen"), ("never,gap", "contradict"), ("", "knows"), ("gap,", "knows")],
)
def test_a_wrong_class_is_an_error(bench: Bench, words: str, told: str) -> None:
    """An unknown class, an empty one, and never beside another leave with 2, and the known ones are named."""
    result = run("recommend", bench.plain, "--fail-on", words)
    assert (2, True) == (result.exit_code, told in result.output)


def test_an_error_is_no_finding(bench: Bench) -> None:
    """--fail-on never hides no error."""
    assert 2 == run("edges", "/absent.jsonl", "--fail-on", "never").exit_code


def generated(text: str) -> str:
    """Return the page with its table made anew."""
    rows = ["| command | class | fails | what it means |", "|---|---|---|---|"]
    for command in COMMANDS:
        rows += [
            f"| `{command}` | `{each.name}` | {'yes' if each.fails else ''} | {each.means} |"
            for each in CLASSES.get(command, ())
        ]
    table = "\n".join(rows)
    return re.sub(
        r"(<!-- table -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{table}\n{m[2]}", text, flags=re.S
    )


def test_the_page_cannot_drift(update_goldens: bool) -> None:
    """The table of flowmine/docs/exit-codes.md is the one in the code."""
    text = PAGE.read_text(encoding="utf-8")
    if update_goldens:
        PAGE.write_text(generated(text), encoding="utf-8")
    assert generated(text) == PAGE.read_text(encoding="utf-8")


def test_every_command_has_the_option_or_finds_nothing() -> None:
    """A command that is in the table takes --fail-on; one that is not never leaves with 1 of its own."""
    takes = {name for name in COMMANDS if "--fail-on" in run(name, "--help").output}
    assert set(CLASSES) == takes
