"""The values of a YAML document that is no policy: settings, lists of names."""

from typing import Any

__all__ = ["yaml_value"]


def yaml_value(text: str | bytes) -> Any:
    """Return the plain values of one YAML document. Raise ValueError, which says in a line what is wrong, for any other.

    >>> yaml_value("a: [1]")
    {'a': [1]}
    """
    import yaml  # of which a command that only looks whether there are settings has no need

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        # PyYAML's own only where the syntax is wrong: `!!int ""` is an IndexError, `!!timestamp x` an AttributeError
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from error
