"""YAML that is no policy."""

import pytest

from flowmine.yamlvalue import yaml_value


@pytest.mark.parametrize(
    "text", ['!!int ""', "!!bool x", "!!timestamp x", "2026-13-40", "a: b: c", "[", "[" * 3000, "!!python/name:os.system x", "\x00"]
)  # fmt: skip
def test_whatever_cannot_be_read_is_one_kind_of_error(text: str) -> None:
    """PyYAML raises a dozen of its own and of Python's; callers need to know one, and say it in a line."""
    with pytest.raises(ValueError, match=r"^.+$"):
        yaml_value(text)
