"""The options for a live Hubble server in place of a capture: the same names as `hubble`'s own, and `--for`."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from flowmine.cli.window import Window
from flowmine.errors import UsageError

if TYPE_CHECKING:
    from flowmine.ingest.relay import Relay, Server

__all__ = ["Live", "connection_options", "live_of", "server_options", "stopped_by_interrupt"]

_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("--server",),
        {"metavar": "ADDRESS", "help": "hubble-relay: host:port, tls://host:port or unix:///path."},
    ),
    (("-P", "--port-forward"), {"is_flag": True, "help": "Reach hubble-relay through the Kubernetes API."}),
    (("--kube-context",), {"metavar": "NAME", "help": "With -P: the kubeconfig's context."}),
    (("--kube-namespace",), {"metavar": "NS", "help": "With -P: Cilium's namespace (default: kube-system)."}),
    (("--kubeconfig",), {"metavar": "FILE", "help": "With -P: the kubeconfig (default: as kubectl's)."}),
    (("--tls",), {"is_flag": True, "help": "Speak TLS, as with tls://."}),
    (
        ("--tls-allow-insecure",),
        {"is_flag": True, "help": "Take any certificate of the server that has not expired."},
    ),
    (
        ("--tls-ca-cert-files",),
        {"multiple": True, "metavar": "FILE", "help": "Authorities of the server's certificate."},
    ),
    (("--tls-client-cert-file",), {"metavar": "FILE", "help": "Certificate to show to the server."}),
    (("--tls-client-key-file",), {"metavar": "FILE", "help": "Its key."}),
    (("--tls-server-name",), {"metavar": "NAME", "help": "Name that the server's certificate is for."}),
    (("--basic-auth-username",), {"metavar": "NAME", "help": "User, where the server asks."}),
    (("--basic-auth-password",), {"metavar": "TEXT", "help": "Password (or HUBBLE_BASIC_AUTH_PASSWORD)."}),
)
_LASTING = (("--for", "lasting"), {"metavar": "DURATION", "help": "Follow for so long (10m), then answer."})

_OF_FORWARD = frozenset({"kube-context", "kube-namespace", "kubeconfig"})
_SHARED = ("kubeconfig", True)
"""The option that is also one of commands with ``--from-cluster``."""


@dataclass(frozen=True, slots=True)
class Live:
    """A live server that is read: where, and for how long (seconds, None: until the end or Ctrl-C)."""

    settings: Mapping[str, Any]
    window: Window
    lasting: float | None = None

    @contextmanager
    def server(self) -> Iterator["Server"]:
        """Yield the server, its port forwarded within the block where asked for.

        Raise UsageError where the settings contradict each other, InputError where there is nothing to forward to.
        """
        from flowmine.ingest.relay.settings import server_of

        if not self.settings.get("port-forward"):
            yield server_of(self.settings)
            return
        from flowmine.cluster.portforward import forwarded

        with forwarded(
            self.settings.get("kubeconfig"),
            self.settings.get("kube-context"),
            self.settings.get("kube-namespace") or "kube-system",
        ) as (host, port):
            yield server_of(self.settings, f"{host}:{port}")

    @contextmanager
    def opened(self, **options: Any) -> Iterator["Relay"]:
        """Yield the server's flows as a source; ``options`` are those of `flowmine.ingest.relay.RelayOptions`."""
        from flowmine.ingest.relay import RelayOptions, open_relay

        columns = options.pop("columns", None)
        chosen = RelayOptions(
            selection=self.window.selection, follow=self.window.follow, lasting=self.lasting, **options
        )
        with self.server() as server:
            relay = open_relay(server, columns=columns, options=chosen)
            with stopped_by_interrupt(relay.stop) if self.window.follow else _as_ever():
                yield relay


@contextmanager
def stopped_by_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C within the block end the reading, and only the next one the program."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def once(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        stop()

    signal.signal(signal.SIGINT, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _as_ever() -> Iterator[None]:
    yield


def server_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a live server; of those that it has already (``--kubeconfig``) it keeps its own."""
    return _with_options(function, (*_OPTIONS, _LASTING))


def connection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a live server that is not read for a while, and so none of how long."""
    return _with_options(function, _OPTIONS)


def _with_options(function: Callable[..., Any], options: tuple[Any, ...]) -> Callable[..., Any]:
    own = {name for param in getattr(function, "__click_params__", ()) for name in param.opts}
    for names, how in reversed(options):
        if not own.intersection(names):
            function = click.option(*names, **how)(function)
    return function


def live_of(options: dict[str, Any], inputs: tuple[str, ...], window: Window | None) -> Live | None:
    """Take the options of a live server out of a command's; return the server, None where captures are read.

    A server is read where an option names one, or where there is no INPUT and HUBBLE_* or Hubble's own configuration
    does. Raise UsageError where a server and captures are named, or an option of servers has none.
    """
    from flowmine.ingest.filters import Selection
    from flowmine.ingest.relay.settings import KEYS, settings

    lasting = options.pop("lasting", None)
    given = _given(options)
    named = [
        key
        for key in KEYS
        if given[key] not in (None, (), False) and (key, "from_cluster" in options) != _SHARED
    ]
    if inputs and (named or lasting):
        what = named[0] if named else "for"
        raise UsageError(f"--{what} is for a live server, and INPUT names a capture: give one of them")
    if inputs:
        return None
    found = settings(given)
    forward = found.get("port-forward", False)
    if named and not forward and set(named) <= _OF_FORWARD:
        raise UsageError(f"--{named[0]} says where to forward a port: give -P too")
    if not named and not forward and not found.get("server"):
        raise UsageError(
            "no input: name a capture (a file, a folder, - for stdin), or a live server with --server or -P"
        )
    asked = window or Window(Selection(), False)
    return Live(found, Window(asked.selection, asked.follow or lasting is not None), _seconds(lasting))


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Take the settings out of a command's options; one that another group of options shares is left in, or emptied."""
    from flowmine.ingest.relay.settings import KEYS

    given = {key: options.get(key.replace("-", "_")) for key in KEYS}
    for key in KEYS:
        if (key, "from_cluster" in options) != _SHARED:
            options.pop(key.replace("-", "_"), None)
        elif given["port-forward"] and not options["from_cluster"]:
            options[key] = None
    return given


def _seconds(text: str | None) -> float | None:
    """Return a duration in seconds. Raise UsageError where it is none."""
    from flowmine.ingest.filters import point_in_time

    if text is None:
        return None
    nanoseconds = -point_in_time(text, 0)
    if nanoseconds <= 0:
        raise UsageError(f"--for {text}: write a duration (30s, 10m, 1h30m)")
    return nanoseconds / 10**9
