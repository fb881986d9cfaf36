"""Rewrite the parts of a Markdown page that hold measured results, between markers that a person placed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from training.contracts.errors import AttuneError
from training.storage import replace_file


def rewrite(page: Path, parts: Mapping[str, str]) -> list[str]:
    """Put each part between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->` and return the names that were found.

    Args:
        page: A Markdown file; everything outside the markers stays as it is.
        parts: Markdown by name; a name without markers in the page is left out.

    Raises:
        AttuneError: A part is opened and not closed.
    """
    text = page.read_text(encoding="utf-8")
    found = []
    for name, part in parts.items():
        opening, closing = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
        if opening not in text:
            continue
        before, _, rest = text.partition(opening)
        _, closed, after = rest.partition(closing)
        if not closed:
            raise AttuneError(f"expected {closing} after {opening} in {page}, found none; add it where the part ends")
        text = f"{before}{opening}\n{part.strip()}\n{closing}{after}"
        found.append(name)
    with replace_file(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return found


def written_parts(reports: Path) -> dict[str, str]:
    """Return the tables of a report folder by marker name: each protocol's data sets one below the other, and speed."""
    parts: dict[str, list[str]] = {}
    for path in sorted(reports.glob("*.md")):
        parts.setdefault(path.stem.rpartition("_")[2], []).append(path.read_text(encoding="utf-8"))
    return {name: "\n".join(tables) for name, tables in parts.items()}
