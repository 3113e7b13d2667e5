"""Where the server is and how it is spoken to, from options, HUBBLE_* variables and Hubble's own configuration file.

An option beats a variable, a variable beats the file, as for `hubble` itself (Cilium ``hubble/cmd/root.go``).
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowmine.errors import UsageError
from flowmine.ingest.relay.address import DEFAULT, Server
from flowmine.yamlvalue import yaml_value

__all__ = ["KEYS", "Settings", "server_of", "settings"]

KEYS = (
    "server",
    "tls",
    "tls-ca-cert-files",
    "tls-client-cert-file",
    "tls-client-key-file",
    "tls-server-name",
    "tls-allow-insecure",
    "basic-auth-username",
    "basic-auth-password",
    "port-forward",
    "kube-context",
    "kube-namespace",
    "kubeconfig",
)
"""The settings that are known, as in the file; a variable is in capitals, HUBBLE_ before it and _ for -."""

_LISTS = frozenset({"tls-ca-cert-files"})
_TRUTHS = frozenset({"tls", "tls-allow-insecure", "port-forward"})
_TRUE, _FALSE = frozenset({"1", "t", "true"}), frozenset({"0", "f", "false", ""})

Settings = dict[str, Any]


def settings(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings: those ``given`` (None and empty are not), else of the environment, else of the file.

    Raise UsageError where the file cannot be read, or a value is not of its kind.
    """
    path = _config_file(environment)
    found: Settings = {}
    for key in KEYS:
        variable = f"HUBBLE_{key.upper().replace('-', '_')}"
        if given.get(key) not in (None, (), "", False):
            found[key] = _value(key, given[key], f"--{key}")
        elif variable in environment:
            found[key] = _value(key, environment[variable], variable)
    if path is None:
        return found
    return {key: _value(key, value, f"{path}: {key}") for key, value in _read(path).items()} | found


def server_of(found: Mapping[str, Any], address: str | None = None) -> Server:
    """Return the server that settings describe; ``address`` in place of theirs. Raise UsageError where it cannot be."""
    return Server(
        address=address or found.get("server") or DEFAULT,
        tls=found.get("tls", False),
        ca_files=tuple(found.get("tls-ca-cert-files", ())),
        client_cert=found.get("tls-client-cert-file", ""),
        client_key=found.get("tls-client-key-file", ""),
        server_name=found.get("tls-server-name", ""),
        allow_insecure=found.get("tls-allow-insecure", False),
        username=found.get("basic-auth-username", ""),
        password=found.get("basic-auth-password", ""),
    )


def _config_file(environment: Mapping[str, str]) -> Path | None:
    """Return the file that Hubble would read, None where there is none."""
    if named := environment.get("HUBBLE_CONFIG"):
        return Path(named)
    home = environment.get("HOME") or environment.get("USERPROFILE") or ""
    own = {
        "darwin": Path(home, "Library", "Application Support"),
        "win32": Path(environment.get("APPDATA", home)),
    }.get(sys.platform, Path(environment.get("XDG_CONFIG_HOME") or Path(home, ".config")))
    candidates = (own / "hubble" / "config.yaml", Path(home, ".hubble", "config.yaml"))
    return next((path for path in candidates if path.is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = yaml_value(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); it is named by HUBBLE_CONFIG"
        ) from error
    except ValueError as error:
        raise UsageError(f"{path}: not YAML ({error}); it is Hubble's configuration") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{path}: not a configuration of Hubble's: its top must be a mapping")
    named = {str(key).lower(): item for key, item in value.items()}
    return {key: named[key] for key in KEYS if named.get(key) is not None}


def _value(key: str, value: Any, where: str) -> Any:
    """Return a value as what its key takes. Raise UsageError where it is not that."""
    if key in _LISTS:
        texts = value.replace(",", " ").split() if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or any(isinstance(text, list | dict) for text in texts):
            raise UsageError(f"{where}: expected a list of files")
        return tuple(part for text in texts for part in str(text).split(",") if part)
    if isinstance(value, list | tuple | dict):
        raise UsageError(f"{where}: expected a text")
    if key in _TRUTHS:
        word = str(value).lower()
        if word not in _TRUE | _FALSE:
            raise UsageError(f"{where}: expected true or false, not {value!r}")
        return word in _TRUE
    return str(value)
