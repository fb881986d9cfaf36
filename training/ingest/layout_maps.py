"""Choose the shipped column map of a public layout by what lies in a folder."""

from __future__ import annotations

from pathlib import Path

from training.contracts.columns import RAW_TABLES
from training.contracts.errors import MissingArtefact
from training.ingest.column_map import ColumnMap, parse_yaml
from training.ingest.source_files import named_files

_FOLDER = Path(__file__).with_name("layouts")
LAYOUTS = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def layout_maps(name: str) -> list[ColumnMap]:
    """Return the column maps of a layout, one for each release that names its files otherwise."""
    path = _FOLDER / f"{name}.yaml"
    (maps,) = parse_yaml(path.read_text(encoding="utf-8"), path.name)
    return [ColumnMap.from_dict(one, path.name) for one in maps]


def choose_layout(name: str, folder: Path) -> ColumnMap:
    """Return the map of a layout most of whose files are in a folder; of two, the first.

    Raises:
        MissingArtefact: No release of the layout has its interactions there.
    """
    maps = layout_maps(name)
    fitting = [one for one in maps if named_files(folder, one.interactions.file, "", False)]
    if not fitting:
        wanted = " or ".join(", ".join(one.interactions.file) for one in maps)
        raise MissingArtefact(
            f"expected {wanted} in {folder}, found none; name the unpacked folder of the data set, or another FORMAT"
        )
    return max(fitting, key=lambda one: _num_files(one, folder))


def _num_files(columns: ColumnMap, folder: Path) -> int:
    return sum(bool(named_files(folder, columns.of(table).file, table, False)) for table in RAW_TABLES)
