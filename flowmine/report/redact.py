"""Take out of a view what a person does not want to send: addresses, names of pods. And show what would hide itself.

Every text is changed wherever it stands, a policy's YAML and a diff as well, and the same secret gets the same stand-in,
so that a redacted report can still be read. Its policies cannot be applied: it says so.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import StrEnum
from ipaddress import ip_address

from flowmine.report.view import View, mapped

__all__ = ["Redact", "redacted", "shown"]

_IN_NAME = re.compile(r"(?<!\d)\d{1,3}(?:[.-]\d{1,3}){3}(?!\d)")
_V6 = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])"
)
_LABEL = re.compile(r"(?<=cidr:)[0-9A-Fa-f]{0,4}(?:-[0-9A-Fa-f]{0,4}){2,7}(?=/)")
_REVERSE = re.compile(r"(?:[0-9A-Fa-f]\.){16,32}(?=ip6\.arpa)")
_WORD = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


class Redact(StrEnum):
    """What is to be taken out."""

    IPS = "ips"
    PODS = "pods"


def redacted(view: View, what: Iterable[Redact], pods: Iterable[str]) -> View:
    """Return the view with what is named in ``what`` replaced; ``pods`` are the names of all pods of the capture."""
    wanted = sorted(set(what))
    if not wanted:
        return view
    changes: dict[Redact, Callable[[str], str]] = {
        Redact.IPS: _Addresses().change,
        Redact.PODS: _Pods(pods).change,
    }
    for each in wanted:
        view = mapped(view, changes[each])
    told = " and ".join({Redact.IPS: "addresses", Redact.PODS: "names of pods"}[each] for each in wanted)
    return replace(
        view,
        remarks=(f"{told} are replaced by stand-ins: policies shown here cannot be applied", *view.remarks),
    )


def shown(text: str) -> str:
    """Return a text with every character visible that would hide, turn round or break others; lines and tabs stay.

    >>> shown("a\\u202eb")
    'a⟨202e⟩b'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else f"⟨{ord(char):02x}⟩" for char in text)


class _Addresses:
    """Stand-ins for addresses, numbered as they are met; a prefix's length, and what means everywhere, stay."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def change(self, text: str) -> str:
        if not any(char.isdigit() or char == ":" for char in text):
            return text
        text = _LABEL.sub(lambda found: self._stand_in(found[0], found[0].replace("-", ":")), text)
        text = _REVERSE.sub(lambda found: self._hidden(found[0].lower()) + ".", text)
        text = _V6.sub(lambda found: self._stand_in(found[0], found[0]), text)
        return _IN_NAME.sub(lambda found: self._stand_in(found[0], found[0].replace("-", ".")), text)

    def _stand_in(self, written: str, address: str) -> str:
        try:
            read = ip_address(address)
        except ValueError:
            return written
        return written if read.is_unspecified else self._hidden(str(read))

    def _hidden(self, address: str) -> str:
        return self._known.setdefault(address, f"address-{len(self._known) + 1}")


class _Pods:
    """Stand-ins for names of pods, numbered by name."""

    def __init__(self, pods: Iterable[str]) -> None:
        self._known = {name: f"pod-{place}" for place, name in enumerate(sorted(set(pods)), 1) if name}

    def change(self, text: str) -> str:
        return _WORD.sub(self._word, text)

    def _word(self, found: re.Match[str]) -> str:
        return self._known.get(found[0]) or ".".join(
            self._known.get(part, part) for part in found[0].split(".")
        )
