"""Bring windows of an older schema version to the present one: `flowmine migrate`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from flowmine.errors import SchemaError
from flowmine.ingest.capturewindow import Folder, manifest_of, stem_of, table_of
from flowmine.schema import FLOWS, VERSION

__all__ = ["STEPS", "Tables", "migrate"]

Tables = dict[str, pa.Table]


def _with_pods(tables: Tables) -> Tables:
    """Give FLOWS the names and identities of pods, which version 1 did not keep: unknown."""
    if "flows" not in tables:
        return tables
    flows = tables["flows"]
    for name in ("source_pod", "destination_pod", "source_identity", "destination_identity"):
        place = FLOWS.get_field_index(name)
        flows = flows.add_column(place, FLOWS.field(name), pa.nulls(flows.num_rows, FLOWS.field(name).type))
    return {**tables, "flows": flows}


STEPS: dict[int, Callable[[Tables], Tables]] = {1: _with_pods}
"""Schema version -> what makes a window's tables of it those of the next version."""


def migrate(folder: Path) -> Iterator[Path]:
    """Bring every window in a folder to the present version, one after the other, and yield those that were not.

    A window is replaced in one step. Raise SchemaError for a window from which no way leads here, InputError where one
    cannot be read or written.
    """
    with Folder(folder) as inside:
        for window in inside.windows():
            manifest = manifest_of(window, any_version=True)
            if manifest.schema == VERSION:
                continue
            if (
                any(version not in STEPS for version in range(manifest.schema, VERSION))
                or manifest.schema > VERSION
            ):
                raise SchemaError(
                    f"{window}: no way leads from schema version {manifest.schema} to {VERSION}: record it again"
                )
            names = sorted({path.stem for path in window.glob("*.parquet")} - {"distinct", "places"})
            tables = {name: table_of(window, name) for name in names}
            for version in range(manifest.schema, VERSION):
                tables = STEPS[version](tables)
            stem, generation = stem_of(window)
            yield inside.put(f"{stem}.{generation + 1}", replace(manifest, schema=VERSION), tables)
