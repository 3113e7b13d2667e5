"""`flowmine doctor`: what a server, an exporter's files and a cluster answer, and what is to be done about it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flowmine.advise.checkup import Level, cluster_checks, exporter_checks, lasting, rate, server_checks
from flowmine.advise.pace import Pace
from flowmine.cli import main
from flowmine.cluster.examine import Examined, Exporter, exporters_of
from flowmine.ingest import open_flows
from flowmine.ingest.relay import Node, Status
from flowmine.ingest.replay import Pace as Replaying
from flowmine.ingest.replay import Replay
from flowmine.ledger import EXPORTER_MASK
from tests.cli.events import capture, record
from tests.cluster_api.apiserver import ApiServer, kubeconfig, serving, status
from tests.cluster_api.recorded import LISTS

CONFIG = "/api/v1/namespaces/kube-system/configmaps/cilium-config"
DAEMONSETS = "/apis/apps/v1/namespaces/kube-system/daemonsets"
SET: dict[str, Any] = {
    "hubble-export-file-path": "/var/run/cilium/hubble/events.log",
    "hubble-export-file-max-size-mb": "1",
    "hubble-export-file-max-backups": "2",
}
IMAGE = {
    "spec": {
        "template": {
            "spec": {
                "containers": [{"name": "cilium-agent", "image": "quay.io/cilium/cilium:v1.19.4@sha256:0"}]
            }
        }
    }
}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have no variables and no configuration of Hubble's or kubectl's."""
    for name in [name for name in os.environ if name.startswith(("HUBBLE_", "XDG_", "KUBE"))]:
        monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def run(*args: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["doctor", *args])


def found(result: Result, topic: str) -> list[tuple[str, str, str]]:
    """Return level, text and advice of the findings of a topic, of JSON output."""
    checks = json.loads(result.stdout)["checks"]
    return [(each["level"], each["says"], each["do"]) for each in checks if each["topic"] == topic]


def test_an_installation_is_well() -> None:
    """Without anything to ask, the packages are looked at, and all is well."""
    done = run()
    assert (0, True) == (done.exit_code, "packages of the core" in done.stdout)
    assert {"ok"} == {line.split()[0] for line in done.stdout.splitlines() if not line.startswith(" ")}


@pytest.fixture
def flows(tmp_path: Path) -> str:
    """A minute of one flow a second."""
    return capture(tmp_path / "flows.jsonl", *(record(second) for second in range(61)))


def test_a_server_tells_how_far_it_looks_back(flows: str) -> None:
    """Relay's version, nodes and ring are told; a ring of seconds is a note that says what to do."""
    with Replay(open_flows(flows), pace=Replaying(rate=100.0, ring=20)) as server:
        done = run("--server", server.address, "-o", "json")
    ((level, says, advice),) = found(done, "ring")
    assert (0, "note") == (done.exit_code, level)
    assert "at 100.0 flows/s" in says and "--for" in advice
    ((level, says, _),) = found(done, "server")
    assert ("ok", True) == (level, "all answer" in says)


def test_a_server_that_is_not_there_is_a_problem() -> None:
    """What cannot be reached is told in its own sentence, and the exit code is 1."""
    done = run("--server", "127.0.0.1:1", "-o", "json")
    ((level, says, _),) = found(done, "server")
    assert (1, "problem", True) == (done.exit_code, level, "nothing listens there" in says)


def test_files_that_do_not_last_are_a_problem(flows: str) -> None:
    """The rate and size of a capture's events say how long the exporter's files last, and how many would do."""
    line = (flows, "--exporter-file-max-size-mb", "1", "--exporter-file-max-backups", "2", "-o", "json")
    short, long = run(*line, "--interval", "24h"), run(*line, "--interval", "1m")
    assert (1, 0) == (short.exit_code, long.exit_code)
    (check,) = [each for each in json.loads(short.stdout)["checks"] if each["topic"] == "exporter"]
    figures = check["figures"]
    assert figures["event_bytes_measured"]
    assert figures["seconds"] == pytest.approx(
        2 * 2**20 / (figures["rate"] * figures["event_bytes"]), rel=0.01
    )
    again = run(flows, "--exporter-file-max-size-mb", "1", "--interval", "24h", "-o", "json")
    assert 1 == again.exit_code
    enough = ("--exporter-file-max-backups", str(figures["needed_backups"]))
    assert 0 == run(flows, "--exporter-file-max-size-mb", "1", *enough, "--interval", "24h").exit_code


@pytest.mark.parametrize(
    ("backups", "interval", "level"),
    [(4, 100.0, Level.OK), (2, 100.0, Level.NOTE), (1, 200.0, Level.PROBLEM), (0, 1e9, Level.NOTE)],
)
def test_how_long_files_must_last(backups: int, interval: float, level: Level) -> None:
    """Half as long again as the interval is well, less is a note, less than the interval a problem; 0 keeps all."""
    pace = Pace("n", 1.0, 100.0, 10_000.0, measured=True)  # a megabyte in 1.05 s
    exporter = Exporter("x", size_mb=50 if backups != 1 else 100, backups=backups)
    (check,) = exporter_checks(exporter, [pace], interval)
    assert level == check.level
    assert (level == Level.OK) == (check.do == "")


def test_masks_and_filters_are_told() -> None:
    """A mask that leaves out what rules are made of is a problem, one that leaves out less a note; so are filters."""
    levels = {}
    for name, mask in (
        ("whole", EXPORTER_MASK),
        ("parts", (*EXPORTER_MASK[:-1], "emitter.version")),
        ("no l4", tuple(each for each in EXPORTER_MASK if each != "l4")),
        ("no l7", tuple(each for each in EXPORTER_MASK if each != "l7")),
    ):
        checks = exporter_checks(Exporter("x", mask=mask), [Pace("", 0.1, 0.1)], 60.0)
        levels[name] = [str(check.level) for check in checks]
    assert {"whole": ["ok"], "parts": ["ok"], "no l4": ["problem", "ok"], "no l7": ["note", "ok"]} == levels
    filtered, _ = exporter_checks(Exporter("x", filtered=True), [Pace("", 0.1, 0.1)], 60.0)
    assert Level.NOTE == filtered.level


def test_exporters_are_read_from_the_agents_configuration() -> None:
    """The static exporter and the dynamic ones are known, with the agent's own defaults."""
    dynamic = """
flowLogs:
- name: all
  filePath: /f/all.log
  fieldMask: [time, verdict]
  includeFilters: []
- {name: drops, filePath: /f/drops.log, includeFilters: [{verdict: [DROPPED]}], fileMaxSizeMb: 7, fileMaxBackups: 0}
"""
    config = {
        "hubble-export-file-path": "/f",
        "hubble-export-fieldmask": "time verdict",
        "hubble-export-denylist": "[]",
    }
    assert (
        Exporter("hubble-export-file-path", "/f", 10, 5, ("time", "verdict")),
        Exporter("all", "/f/all.log", 10, 5, ("time", "verdict")),
        Exporter("drops", "/f/drops.log", 7, 0, (), filtered=True),
    ) == exporters_of(config, {"flowlogs.yaml": dynamic})
    assert () == exporters_of({}, {"flowlogs.yaml": "["})


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """A cluster with Cilium, whose exporter keeps little."""
    answers = {
        "/version/": (200, {"gitVersion": "v1.34.1"}),
        CONFIG: (200, {"data": SET}),
        DAEMONSETS: (200, {"items": [IMAGE]}),
    }
    with serving(ApiServer(LISTS, always=answers)) as running:
        yield running


def test_a_cluster_is_looked_at(api: ApiServer, flows: str, tmp_path: Path) -> None:
    """Versions, rights and the exporter's settings come from the cluster, by reading alone."""
    config = str(kubeconfig(tmp_path, api.url))
    done = run(flows, "--from-cluster", "--kubeconfig", config, "--interval", "24h", "-o", "json")
    assert [("ok", f"{api.url}: Kubernetes v1.34.1, Cilium 1.19.4", "")] == found(done, "cluster")
    ((level, says, _),) = found(done, "rights")
    assert ("ok", 7) == (level, says.count(",") + 1)
    ((level, says, _),) = found(done, "exporter")
    assert (1, "problem", True) == (
        done.exit_code,
        level,
        says.startswith("hubble-export-file-path: 2 files of 1 MB last"),
    )
    assert {"GET"} == api.methods
    assert all(query.get("limit") == "1" for path, query in api.requests if path in LISTS)


def test_what_may_not_be_read_is_told(api: ApiServer, tmp_path: Path) -> None:
    """A list that is refused is a problem with the right to ask for; a setting that is refused is a note."""
    api.always["/apis/cilium.io/v2/ciliumidentities"] = (403, status(403, "forbidden"))
    api.always[CONFIG] = (403, status(403, "forbidden"))
    done = run("--from-cluster", "--kubeconfig", str(kubeconfig(tmp_path, api.url)), "-o", "json")
    refused = [says for level, says, _ in found(done, "rights") if level == "problem"]
    assert (1, 1, True) == (done.exit_code, len(refused), "ciliumidentities.cilium.io" in refused[0])
    assert [("note", "cannot be read: configmap kube-system/cilium-config: 403 Forbidden")] == [
        each[:2] for each in found(done, "cluster")[1:]
    ]


def test_a_cluster_without_cilium_is_a_problem(tmp_path: Path) -> None:
    """Where no CiliumNetworkPolicy is served that is said, and so is a cluster that cannot be reached."""
    with serving(ApiServer(always={"/version/": (200, {"gitVersion": "v1.30.0"})})) as bare:
        done = run("--from-cluster", "--kubeconfig", str(kubeconfig(tmp_path, bare.url)), "-o", "json")
    assert (1, True) == (done.exit_code, "serves no CiliumNetworkPolicy" in found(done, "rights")[0][1])
    gone = run(
        "--from-cluster", "--kubeconfig", str(tmp_path / "kubeconfig"), "--context", "away", "-o", "json"
    )
    ((level, says, _),) = found(gone, "cluster")
    assert (1, "problem", True) == (gone.exit_code, level, "cannot be reached" in says)


def test_settings_that_hide_traffic_are_told() -> None:
    """Hubble that is off is a problem; audit mode, strong aggregation and no exporter are notes."""
    config = {"enable-hubble": "false", "policy-audit-mode": "true", "monitor-aggregation": "maximum"}
    checks = cluster_checks(Examined("h", "", "", (), config, (), ()))
    assert ["ok", "problem", "note", "note", "note"] == [str(check.level) for check in checks]


def test_nodes_that_are_away_or_of_other_versions_are_told() -> None:
    """A node that does not answer is a problem; the ring that looks back least is the one that is told."""
    second = 10**9
    nodes = (
        Node("a", "1.19.4", "", True, 1000 * second, capacity=4095, seen=100_000),
        Node("b", "1.18.0", "", True, 1000 * second, capacity=4095, seen=1_000),
    )
    away = Status("1.19.4", 10, 8190, 101.0, 2, 1, ("c",), nodes)
    server, versions, ring = server_checks("relay:80", away)
    assert (Level.PROBLEM, Level.NOTE, Level.NOTE) == (server.level, versions.level, ring.level)
    assert "the ring of a (the busiest), 4,095 flows, is 41 s at 100.0 flows/s" == ring.says


def test_figures_read_well() -> None:
    """Times are told in the unit that suits them, rates in digits that tell something."""
    assert ["0.5 s", "41 s", "10 min", "1.5 h", "4.6 d", "for ever"] == [
        lasting(each) for each in (0.5, 41, 600, 5400, 400_000, float("inf"))
    ]
    assert ["0.062", "12.3", "4,100.0"] == [rate(each) for each in (0.0617, 12.34, 4100)]


def test_a_context_needs_a_cluster() -> None:
    """--context without --from-cluster is refused: nothing would be asked."""
    assert 2 == run("--context", "prod").exit_code
