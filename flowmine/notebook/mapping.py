"""The map of who talks to whom, as a notebook shows it: the same picture as in a report."""

import os
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from flowmine.errors import UsageError
from flowmine.notebook import markup
from flowmine.notebook.frame import Frame, columns
from flowmine.outputs import write_whole
from flowmine.report.map import maps
from flowmine.report.mapsvg import map_svg
from flowmine.report.view import View

__all__ = ["FlowMap"]

_SCHEMA = columns(
    ("source source_group destination destination_group protocol", "text"),
    ("port", "port"),
    ("outcome", "text"),
    ("changed", "bool"),
    ("events delivered dropped audited", "events"),
    ("first last", "ms"),
)


class FlowMap(Frame):
    """Namespaces as groups, workloads in them, layered by direction; as a table a row a connection that is drawn."""

    def __init__(self, view: View, group: str = "") -> None:
        """Take the view, and the group to show open (all of it where empty).

        Raise UsageError for a group that is not on the map.
        """
        self.view = view
        titles = [each.title for each in view.groups]
        if group and group not in titles:
            raise UsageError(
                f"nothing on the map is called {group} (known: {', '.join(dict.fromkeys(titles))})"
            )
        self._place = 1 + titles.index(group) if group and len(titles) > 1 else 0

    @property
    def title(self) -> str:
        """How much is on the map."""
        view = self.view
        return f"{view.title}: {len(view.nodes):,} ends in {len(view.groups):,} groups, {len(view.connections):,} connections"

    @cached_property
    def svg(self) -> str:
        """The picture, which needs nothing else."""
        return markup.plain(map_svg(self.view, maps(self.view)[self._place]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file."""
        write_whole(Path(path), self.svg.encode("utf-8", "backslashreplace"))

    def _made(self) -> pa.Table:
        nodes, groups = self.view.nodes, self.view.groups
        rows = [
            {
                "source": nodes[each.source].title,
                "source_group": groups[nodes[each.source].group].title,
                "destination": nodes[each.target].title,
                "destination_group": groups[nodes[each.target].group].title,
                **{name: getattr(each, name) for name in _SCHEMA.names[4:]},
            }
            for each in self.view.connections
        ]
        return pa.Table.from_pylist(rows, _SCHEMA)

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return markup.card(self.title, f'<div class="wide">{self.svg}</div>')
