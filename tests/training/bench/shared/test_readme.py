"""Only what lies between markers changes."""

import pytest

from training.bench.shared.readme import rewrite, written_parts
from training.contracts.errors import AttuneError

PAGE = "# T\n<!-- bench:temporal -->\nold | table\n<!-- /bench:temporal -->\ntail\n"


def test_parts_go_between_their_markers(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    assert rewrite(page, {"temporal": "\nnew\n\n", "speed": "unused"}) == ["temporal"]
    assert page.read_text() == "# T\n<!-- bench:temporal -->\nnew\n<!-- /bench:temporal -->\ntail\n"
    rewrite(page, {"temporal": "new"})
    assert page.read_text().count("new") == 1


def test_backslashes_are_kept_as_they_are(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    rewrite(page, {"temporal": r"a\1b"})
    assert r"a\1b" in page.read_text()


def test_an_open_part_is_an_error_and_changes_nothing(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("<!-- bench:speed -->\n")
    with pytest.raises(AttuneError, match="/bench:speed"):
        rewrite(page, {"speed": "x"})
    assert page.read_text() == "<!-- bench:speed -->\n"


def test_tables_are_grouped_by_the_marker_they_go_to(tmp_path):
    for name in ("a_temporal", "b_c_temporal", "a_loo", "speed"):
        (tmp_path / f"{name}.md").write_text(name)
    assert written_parts(tmp_path) == {"temporal": "a_temporal\nb_c_temporal", "loo": "a_loo", "speed": "speed"}
