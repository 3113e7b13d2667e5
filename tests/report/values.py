"""Values as JSON and YAML have them, for property tests."""

from hypothesis import strategies as st

__all__ = ["RECORDS"]

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.dictionaries(st.text(), _VALUES, max_size=5)
