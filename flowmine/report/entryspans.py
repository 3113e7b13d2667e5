"""Where each entry of a policy stands in its YAML, found in the form that `policy.yamlwrite` gives every manifest."""

import re

__all__ = ["entry_spans"]

_LIST = re.compile(r"  (ingress|ingressDeny|egress|egressDeny):$")
_ENTRY = "  - "
_DEEPER = "   "


def entry_spans(text: str) -> dict[str, tuple[int, int]]:
    """Return the first and last line (from 0) of each entry by its path, comments above it included.

    >>> entry_spans("spec:\\n  ingress:\\n  # why\\n  - toPorts:\\n    - ports: []\\n  - {}\\n")
    {'spec.ingress[0]': (2, 4), 'spec.ingress[1]': (5, 5)}
    """
    found: dict[str, tuple[int, int]] = {}
    root, rule, section, path, entry, above = "", -1, "", "", -1, -1
    for number, line in enumerate(text.splitlines()):
        if line[:1] not in (" ", "-", "#"):
            root, rule, section = line.partition(":")[0], -1, ""
        elif root == "specs" and line.startswith("- "):
            rule, line = rule + 1, f"  {line[2:]}"
        if line.startswith("  #"):
            above = number if above < 0 else above
            continue
        if line.startswith(_ENTRY) and section:
            entry += 1
            path = f"{root if rule < 0 else f'specs[{rule}]'}.{section}[{entry}]"
            found[path] = (number if above < 0 else above, number)
        elif line.startswith(_DEEPER) and section and path:
            found[path] = (found[path][0], number)
        elif not line.startswith(_DEEPER):
            begins = _LIST.match(line) if root in ("spec", "specs") else None
            section, path, entry = (begins[1] if begins else ""), "", -1
        above = -1
    return found
