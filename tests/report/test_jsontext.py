"""JSON written while it is made: the text of `json.dumps`."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flowmine.report.jsontext import json_lines

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), _VALUES, max_size=5))
def test_it_is_what_json_dumps_writes(record: dict[str, Any]) -> None:
    """Lists may be iterators, of nothing too."""
    expected = json.dumps(record, indent=2, ensure_ascii=False)
    made = {key: iter(value) if isinstance(value, list) else value for key, value in record.items()}
    assert expected == "\n".join(json_lines(made)) == "\n".join(json_lines(record))
