"""Keep Great Expectations' pages: one site per partition and suite, replaced whole, fonts and styles shared.

A site's own copy of the styles is 4 MB; all sites of a home link to one. The pages need no internet.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.contracts.partitions import Partition
from training.settings import Settings
from training.validation.offline_pages import make_offline

_STATIC = "static"


def docs_dir(settings: Settings, partition: Partition, suite: str) -> Path:
    """Return the folder of a suite's pages; `index.html` is the one to open."""
    return settings.reports_dir / "data_docs" / f"dt={partition}" / suite


@contextmanager
def open_site(settings: Settings, partition: Partition, suite: str) -> Iterator[Path]:
    """Yield a temporary folder that replaces the suite's pages on success and vanishes on failure."""
    target = docs_dir(settings, partition, suite)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{suite}.{uuid.uuid4().hex[:8]}")
    temporary.mkdir()
    try:
        yield temporary
        _share_static(temporary, target.parent.parent / _STATIC)
        make_offline(temporary, target.parent.parent / _STATIC)
        shutil.rmtree(target, ignore_errors=True)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def publish_site(context: Any, folder: Path) -> None:
    """Make `folder` the only place to which a Great Expectations context writes its pages."""
    for name in list(context.list_data_docs_sites()):
        context.delete_data_docs_site(name)
    context.add_data_docs_site(
        site_name="pages",
        site_config={
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )


def _share_static(site: Path, shared: Path) -> None:
    own = site / _STATIC
    if not own.is_dir():
        return
    if shared.exists():
        shutil.rmtree(own)
    else:
        try:
            own.rename(shared)
        except OSError:  # another suite was first
            shutil.rmtree(own)
    own.symlink_to(Path("..") / ".." / _STATIC, target_is_directory=True)
