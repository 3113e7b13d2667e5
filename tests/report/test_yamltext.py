"""YAML written while it is made: the text of a whole document."""

from typing import Any

import yaml
from hypothesis import given

from flowmine.policy.yamlwrite import write_document
from flowmine.report.yamltext import yaml_lines
from tests.report.values import RECORDS


@given(RECORDS)
def test_it_is_what_a_whole_document_is(record: dict[str, Any]) -> None:
    """Lists may be iterators, of nothing too."""
    expected = write_document(record, {})
    assert (yaml.safe_load(expected) or {}) == record
    made = {key: iter(value) if isinstance(value, list) else value for key, value in record.items()}
    for each in (made, record):
        assert expected == "".join(f"{line}\n" for line in yaml_lines(each))
