"""A snapshot's files are held against its manifest, by length and by checksum."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from serving_export.checksum import MANIFEST, describe, require_lengths, sha256, verify
from tests.serving_export.world import DAY1, World
from training.contracts.errors import AttuneError
from training.registry.pointer import read_pointer


@pytest.fixture
def folder(world: World) -> Path:
    world.promote(DAY1)
    return world.settings.published_dir / read_pointer(world.settings.published_dir).live.path


def test_a_whole_snapshot_passes(folder: Path) -> None:
    verify(folder)
    require_lengths(folder, json.loads((folder / MANIFEST).read_text()))


def test_a_changed_byte_is_found_by_the_checksum_alone(folder: Path) -> None:
    path = folder / "vectors.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    require_lengths(folder, json.loads((folder / MANIFEST).read_text()))
    with pytest.raises(AttuneError, match=f"found {sha256(path)[:12]} at {path}; roll back"):
        verify(folder)


def test_a_short_or_missing_file_is_found_by_its_length(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    path = folder / "vectors.npy"
    path.write_bytes(b"")
    with pytest.raises(AttuneError, match=f"bytes, found 0 at {path}"):
        require_lengths(folder, manifest)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        require_lengths(folder, manifest)


def test_a_large_file_is_verified_by_blocks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving_export.checksum.BLOCK_BYTES", 100)
    path = folder / "vectors.npy"
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["vectors.npy"] = describe(path)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    whole = path.read_bytes()
    blocks = manifest["files"]["vectors.npy"]["blocks"]
    assert blocks == [hashlib.sha256(whole[at : at + 100]).hexdigest() for at in range(0, len(whole), 100)]
    assert manifest["files"]["vectors.npy"]["sha256"] == sha256(path)
    verify(folder)
    for broken in (whole[:150] + b"x" + whole[151:], whole + b"x", whole[:-1], whole[:100], b""):
        path.write_bytes(broken)
        with pytest.raises(AttuneError, match=f"at {path}; roll back"):
            verify(folder)


def test_a_small_file_has_no_blocks(folder: Path) -> None:
    assert set(describe(folder / "vectors.npy")) == {"sha256", "bytes"}
