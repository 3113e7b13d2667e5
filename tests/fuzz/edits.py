"""How an input is changed: a few edits, each four numbers, so that hypothesis, atheris and a plain generator can make them.

Bytes are cut, flipped, repeated; and, as bytes alone seldom get past a parser, words, numbers, texts and bracketed groups
are replaced by odd ones, and fields of protobuf messages by other fields, lengths put right.
"""

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.fuzz.fields import with_other_field

__all__ = ["EDIT", "ODD", "Edit", "edited", "random_edits"]

Edit = tuple[int, int, int, int]
"""What is done, where (of 65,536ths of the input), how far, and with what."""

EDIT = ((0, 13), (0, (1 << 16) - 1), (0, 63), (0, 1 << 16))
"""The bounds of an edit's numbers, both inclusive."""

_WORD = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+]?\d[\d.eE+-]*|[A-Za-z_][\w/-]*|[^\s\w]')
_OPEN = {ord("{"): ord("}"), ord("["): ord("]"), ord("("): ord(")")}

ODD: tuple[bytes, ...] = (
    *(b'""', b"null", b"true", b"~", b"0", b"-1", b"-0", b"1e999", b"1.5", b"1_000", b"0o17", b"NaN", b".inf"),
    *(b"255", b"65536", b"4294967296", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616"),
    *(b"[]", b"{}", b"[[]]", b"[null]", b'{"":null}', b'[""]', b"[0]", b'{"a":{"b":[1]}}', b"[{}]"),
    *(b'"\\ud800"', b'"\\u0000"', b'"\xff"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf", b"\x00", b"\x7f", b"\x85"),
    *(b"\r\n", b"\n", b"\t", b" ", b"\n\n", b"\n---\n", b"\n...\n", b"- ", b"? ", b": ", b", ", b"#", b"%YAML 9.9\n"),
    *(b"&a ", b"*a", b"<<", b"=", b"!!python/object:os.system ", b"!!binary ", b"!!int ", b"!!timestamp ", b"| \n"),
    *(b'"999.999.999.999"', b'"::ffff:1.2.3.4%eth0"', b'"10.0.0.0/33"', b'"fe80::1%"', b'"::"', b'"1.2.3.4/"'),
    *(b'"2026-11-18T09:30:00.123456789+99:99"', b'"0000-00-00T00:00:00Z"', b'"9999-12-31T23:59:60Z"'),
    *(b'"1677-01-01T00:00:00Z"', b'"2263-01-01T00:00:00Z"', b'"2026-13-40T25:61:61Z"', b"2026-01-01", b"0001-01-01"),
    *(b'"k8s:=x"', b'"reserved:"', b'"reserved:host"', b'"cidr:0.0.0.0/99"', b'"fqdn:"', b'"=b"', b'"a=b=c"', b'":"'),
    *(b'"k8s:io.kubernetes.pod.namespace="', b'"io.cilium.k8s.policy.cluster"', b'"*"', b'"."', b'".."', b'"/"'),
    *(b'"<script>"', b'"a\\nb"', b'"a b"', b"'", b'"', b"\\", b"-", b"--not", b"$", b"(", b"[", b"{", b"}", b"]"),
    *(b'"(a+)+$"', b'"["', b'"*.*.*"', b'"http://[::1"', b'"//"', b'"%zz"', b"tls://", b"unix:", b"@", b"1h", b"\x1b[31m"),
)  # fmt: skip
"""What is put in: values at the ends of their types, of other types, of other languages."""


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Return an input with edits made, one after the other; at most four times as long and 4,096 bytes more."""
    most = 4 * len(data) + 4096
    for kind, place, length, what in edits:
        kinds = next((some for head, some in _SOME.items() if kind and data.startswith(head)), _KINDS)
        data = kinds[kind % len(kinds)](data, place, length, what)[:most]
    return data


def random_edits(random: Random) -> list[Edit]:
    """Return a few edits by chance."""
    return [_edit(random) for _ in range(random.choice((1, 1, 1, 2, 2, 3, 6)))]


def _edit(random: Random) -> Edit:
    kind, place, length, what = (random.randint(*bounds) for bounds in EDIT)
    return kind, place, length, what


def _at(data: bytes, place: int) -> int:
    return place * len(data) >> 16


def _flip(data: bytes, place: int, length: int, what: int) -> bytes:
    start = _at(data, place)
    stop, mask = start + 1 + length // 32, what & 255 or 1
    return data[:start] + bytes(byte ^ mask for byte in data[start:stop]) + data[stop:]


def _overwrite(data: bytes, place: int, length: int, what: int) -> bytes:
    start, odd = _at(data, place), ODD[what % len(ODD)] if length < 32 else what.to_bytes(8, "little")
    return data[:start] + odd + data[start + len(odd) :]


def _remove(data: bytes, place: int, length: int, _: int) -> bytes:
    start = _at(data, place)
    return data[:start] + data[start + 1 + length :]


def _cut(data: bytes, place: int, _: int, __: int) -> bytes:
    return data[: _at(data, place)]


def _insert(data: bytes, place: int, length: int, what: int) -> bytes:
    start = _at(data, place)
    return data[:start] + ODD[what % len(ODD)] * (1 + (length if length > 60 else 0)) + data[start:]


def _repeat(data: bytes, place: int, length: int, what: int) -> bytes:
    start = _at(data, place)
    return data[:start] + data[start : start + 1 + length] * (2 + what % 40) + data[start:]


def _move(data: bytes, place: int, length: int, what: int) -> bytes:
    start, target = _at(data, place), _at(data, what & 0xFFFF)
    piece = data[start : start + 1 + 4 * length]
    return data[:target] + piece + data[target:]


def _words(data: bytes) -> list[tuple[int, int]]:
    return [found.span() for found in _WORD.finditer(data)]


def _replace_word(data: bytes, place: int, _: int, what: int) -> bytes:
    words = _words(data)
    if not words:
        return data
    start, stop = words[_scaled(place, words)]
    return data[:start] + ODD[what % len(ODD)] + data[stop:]


def _swap_words(data: bytes, place: int, _: int, what: int) -> bytes:
    words = _words(data)
    if not words:
        return data
    (a, b), (c, d) = sorted((words[_scaled(place, words)], words[what % len(words)]))
    return data if a == c else data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _copy_word(data: bytes, place: int, _: int, what: int) -> bytes:
    words = _words(data)
    if not words:
        return data
    (start, stop), source = words[_scaled(place, words)], words[what % len(words)]
    return data[:start] + data[slice(*source)] + data[stop:]


def _replace_group(data: bytes, place: int, _: int, what: int) -> bytes:
    """Replace a bracketed group, as far as its brackets go, by something odd."""
    start = next((at for at in range(_at(data, place), len(data)) if data[at] in _OPEN), None)
    if start is None:
        return data
    opening, closing, depth, stop = data[start], _OPEN[data[start]], 0, len(data)
    for at in range(start, len(data)):
        depth += (data[at] == opening) - (data[at] == closing)
        if not depth:
            stop = at + 1
            break
    return data[:start] + ODD[what % len(ODD)] + data[stop:]


def _remove_line(data: bytes, place: int, length: int, _: int) -> bytes:
    lines = data.split(b"\n")
    at = _scaled(place, lines)
    return b"\n".join(lines[:at] + lines[at + 1 + length // 16 :])


def _replace_field(data: bytes, place: int, length: int, what: int) -> bytes:
    return with_other_field(data, place, length, ODD[what % len(ODD)], what)


def _scaled(place: int, among: Sequence[Any]) -> int:
    return place * len(among) >> 16


_KINDS: tuple[Callable[[bytes, int, int, int], bytes], ...] = (
    *(_flip, _remove, _cut, _insert, _repeat, _move, _replace_word, _replace_word, _swap_words, _copy_word),
    *(_replace_group, _remove_line, _replace_field, _overwrite),
)  # fmt: skip
_SOME = {b"PAR1": (_flip, _overwrite), b"\n": (_flip, *[_replace_field] * 5)}
"""Head -> what is done for the most part: places in Parquet, and lengths in messages, count."""
