"""The canonical order of what is a set in a policy."""

from hypothesis import given
from hypothesis import strategies as st

from flowmine.policy.canonical import distinct, sort_key
from flowmine.policy.selector import Operator, Requirement, Selector

_TEXTS = st.sampled_from(["", "a", "a.b", "ab", "b", "é"])
_REQUIREMENTS = st.builds(
    Requirement, _TEXTS, st.sampled_from(Operator), st.lists(_TEXTS, max_size=3).map(tuple)
)
_SELECTORS = st.builds(
    Selector,
    st.dictionaries(_TEXTS, _TEXTS, max_size=3).map(lambda labels: tuple(labels.items())),
    st.lists(_REQUIREMENTS, max_size=2).map(tuple),
)


@given(st.lists(_SELECTORS, max_size=8))
def test_selectors_order_by_their_own_key_as_by_the_general_one(selectors: list[Selector]) -> None:
    """The quicker key of selectors gives the order of the key that fits every object, and keeps each once."""
    assert distinct(selectors) == tuple(dict.fromkeys(sorted(selectors, key=sort_key)))
