"""YAML of records that are made while they are written, as `jsontext` has it of JSON."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from flowmine.policy.yamlwrite import write_lines

__all__ = ["yaml_lines"]


def yaml_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of an object as `flowmine.policy.yamlwrite.write_document` writes it; an iterator becomes a list."""
    for key, value in record.items():
        if not isinstance(value, Iterator):
            yield from write_lines({key: value}, {})
            continue
        yield from write_lines({key: list(islice(value, 1))}, {})
        for each in value:
            yield from write_lines([each], {})
