"""Noise: scans, sweeps and stray probes, and what only looks like them."""

from datetime import timedelta

from flowmine.synth.dns import dns_rows
from flowmine.synth.framing import look
from flowmine.synth.noise import find_noise
from flowmine.synth.options import Options
from flowmine.synth.traffic import links
from tests.synth.made import START, Capture, place, pod

SOON = START + timedelta(seconds=1)
PROMETHEUS = pod("monitoring", "", "Deployment/prometheus", app="prometheus")


def _targets(count):
    return [pod("shop", "", f"Deployment/w{n}", app=f"w{n}") for n in range(count)]


def _noise(capture, **changed):
    """The noise found, as (kind, number of delivered edges left out)."""
    edges = capture.edges()
    scene = look(edges)
    options = Options(**changed)
    every = links(edges.edges, scene.universe, scene.workloads)
    found = find_noise(every, options, scene.title, dns_rows(edges))
    return [(each.kind, len(each.rows)) for each in found]


def test_a_scan_is_left_out_with_its_hits():
    """A source whose tries on many ports come to nothing is scanning; what it hit on the way is no need of its."""
    capture = Capture()
    (target,) = _targets(1)
    scanner = pod("shop", "", "Deployment/scanner", app="scanner")
    for port in range(1, 40):
        capture.talk(scanner, target, port * 7, outcome="dropped", events=2, last=SOON)
    capture.talk(scanner, target, 8080, events=4, last=SOON)
    assert [("scan", 1)] == _noise(capture)


def test_a_scan_that_was_only_refused_is_a_scan():
    """Without policies a scan is delivered and answered by resets; that is in vain as well."""
    capture = Capture()
    scanner = pod("shop", "", "Deployment/scanner", app="scanner")
    for number, target in enumerate(_targets(6)):
        for port in (1001, 2002, 3003):
            capture.talk(scanner, target, port + number, events=3, last=SOON, refused=2)
    assert [("scan", 18)] == _noise(capture)


def test_what_a_scanner_really_uses_stays():
    """A load generator that is also a scanner keeps the service that it uses all the time."""
    capture = Capture()
    (target,) = _targets(1)
    scanner = pod("shop", "", "Deployment/scanner", app="scanner")
    for port in range(1, 40):
        capture.talk(scanner, target, port * 7, outcome="dropped", events=2, last=SOON)
    capture.talk(scanner, target, 8080, events=500)
    assert [("scan", 0)] == _noise(capture)


def test_a_scanners_lookups_stay():
    """The few names that a scanner asked its resolver for, and got, are no hits of its scan; refused ones are."""
    capture = Capture()
    (target,) = _targets(1)
    resolver = pod("kube-system", "", "Deployment/coredns", **{"k8s-app": "kube-dns"})
    scanner = pod("shop", "", "Deployment/scanner", app="scanner")
    for port in range(1, 40):
        capture.talk(scanner, target, port * 7, outcome="dropped", events=2, last=SOON)
    capture.talk(scanner, resolver, 53, protocol="UDP", events=2, last=SOON)
    capture.talk(scanner, target, 53, events=2, last=SOON, refused=1)
    assert [("scan", 1)] == _noise(capture)


def test_monitoring_many_pods_is_no_sweep():
    """A source that visits many pods on one port with success is monitoring them."""
    capture = Capture()
    for target in _targets(40):
        capture.talk(PROMETHEUS, target, 9090, events=4, last=SOON)
    assert [] == _noise(capture)


def test_monitoring_of_much_that_is_down_is_no_sweep():
    """A monitoring system that is refused by most of its targets, again and again, still needs the others."""
    capture = Capture()
    for number, target in enumerate(_targets(40)):
        capture.talk(PROMETHEUS, target, 9090, events=200, refused=100 if number % 3 else 0)
    assert [] == _noise(capture)


def test_a_sweep_is_left_out_with_its_hits():
    """One port tried on many targets, mostly in vain, is a sweep."""
    capture = Capture()
    sweeper = pod("shop", "", "Deployment/sweeper", app="sweeper")
    for number, target in enumerate(_targets(30)):
        capture.talk(sweeper, target, 22, events=3, last=SOON, refused=0 if number < 3 else 1)
    assert [("sweep", 30)] == _noise(capture)


def test_a_service_on_many_high_ports_is_no_scan():
    """A media server or passive FTP is used on many ports, which answer."""
    capture = Capture()
    (target,) = _targets(1)
    client = pod("shop", "", "Deployment/client", app="client")
    for port in range(20000, 20100):
        capture.talk(client, target, port, "UDP", events=4, last=SOON)
    assert [] == _noise(capture)


def test_clients_denied_by_policy_everywhere_are_no_scanners():
    """A client whose calls of a few services are all dropped is refused, not scanning."""
    capture = Capture()
    client = pod("shop", "", "Deployment/client", app="client")
    for number, target in enumerate(_targets(8)):
        capture.talk(client, target, 8080 + number % 3, outcome="dropped")
    assert [] == _noise(capture)


def test_a_stray_visit_beside_a_public_port_is_a_probe():
    """The internet knocks at every port of a public address; one short visit to a port of no other use is no client."""
    capture = Capture()
    (target,) = _targets(1)
    for number in range(40):
        capture.talk(place("reserved:world", ip=f"198.51.{number}.7"), target, 443)
    capture.talk(place("reserved:world", ip="203.0.113.9"), target, 8443, events=3, last=SOON)
    assert [("probe", 1)] == _noise(capture)


def test_a_single_partner_is_no_probe():
    """Without a public port beside it, even one short visit from outside may be all that a partner needs."""
    capture = Capture()
    (target,) = _targets(1)
    capture.talk(place("reserved:world", ip="203.0.113.9"), target, 8443, events=3, last=SOON)
    assert [] == _noise(capture)


def test_one_short_refused_call_is_left_out_and_a_persistent_one_stays():
    """A port where nothing listened is no need when tried once, but may be a service that is down when tried on and on."""
    capture = Capture()
    one, other = _targets(2)
    capture.talk(one, other, 5432, events=3, last=SOON, refused=1)
    capture.talk(other, one, 6379, events=300, refused=150)
    assert [("probe", 1)] == _noise(capture)


def test_thresholds_are_options():
    """With the threshold at 0 nothing is a scan."""
    capture = Capture()
    (target,) = _targets(1)
    scanner = pod("shop", "", "Deployment/scanner", app="scanner")
    for port in range(1, 40):
        capture.talk(scanner, target, port * 7, outcome="dropped", events=2, last=SOON)
    assert [] == _noise(capture, noise_ports=0)
