from pathlib import Path

from training.tracking.pictures import draw_bars, draw_curves

PNG = b"\x89PNG\r\n\x1a\n"


def size_of(path: Path) -> int:
    content = path.read_bytes()
    assert content.startswith(PNG)
    return len(content)


def test_curves_become_a_picture(tmp_path):
    draw_curves({"train": [3.0, 2.0, 1.0], "validation": [3.0, 2.5, 2.4]}, "Loss", tmp_path / "curves.png")
    draw_curves({}, "Loss", tmp_path / "empty.png")
    assert size_of(tmp_path / "curves.png") > size_of(tmp_path / "empty.png")


def test_bars_become_a_picture_with_or_without_intervals(tmp_path):
    draw_bars({"z": 0.74, "mean": 0.70}, {"z": [0.73, 0.75]}, "AUC", tmp_path / "bars.png")
    draw_bars({}, {}, "not enough evidence: n=3", tmp_path / "empty.png")
    assert size_of(tmp_path / "bars.png") > 1000
    assert size_of(tmp_path / "empty.png") > 1000


def test_the_same_figures_are_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        draw_curves({"train": [3.0, 2.0]}, "Loss", tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
