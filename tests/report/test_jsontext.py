"""JSON written while it is made: the text of `json.dumps`."""

import json
from typing import Any

from hypothesis import given

from flowmine.report.jsontext import json_lines
from tests.report.values import RECORDS


@given(RECORDS)
def test_it_is_what_json_dumps_writes(record: dict[str, Any]) -> None:
    """Lists may be iterators, of nothing too."""
    expected = json.dumps(record, indent=2, ensure_ascii=False)
    made = {key: iter(value) if isinstance(value, list) else value for key, value in record.items()}
    assert expected == "\n".join(json_lines(made)) == "\n".join(json_lines(record))
