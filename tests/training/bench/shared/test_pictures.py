"""Pictures are written whole."""

import struct

import pytest

from tests.training.bench.shared.samples import row
from training.bench.shared.pictures import _errors, bars, curves, heatmap


def size(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


def test_bars_grow_with_the_number_of_models(tmp_path):
    few, many = tmp_path / "few.png", tmp_path / "many.png"
    bars([row("a", 0.1), row("truth", 0.5, "limit")], 20, few)
    bars([row(f"m{n}", n / 10, "ours") for n in range(12)], 20, many)
    assert size(many)[1] > size(few)[1]
    assert size(many)[0] == size(few)[0]


def test_errors_join_keys_and_seeds():
    assert _errors([row("a", 0.1)], "ndcg@20")[0] == pytest.approx((0.01**2 + 0.001**2 / 2) ** 0.5)
    assert _errors([row("a", 0.1)], "target_recall@20")[0] == pytest.approx(0.001 / 2**0.5)


def test_heatmap_and_curves(tmp_path):
    heatmap({"bbcNCE": {"IR": 0.2, "UT": 0.1}, "InfoNCE": {"IR": 0.2, "UT": 0.05}}, "loss by task", tmp_path / "h.png")
    curves({"train": [3, 2, 1], "validation": [3, 2.5]}, "loss", "epoch", tmp_path / "c.png")
    assert min(*size(tmp_path / "h.png"), *size(tmp_path / "c.png")) > 100
