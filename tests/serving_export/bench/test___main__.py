"""The command line of the speed benchmark."""

import pytest

from serving_export.bench.__main__ import main
from training.contracts.errors import AttuneError


def test_scratch_is_removed_and_errors_are_one_line(tmp_path, monkeypatch, capsys):
    from serving_export.bench import report

    def refuse(settings, scratch, users, items, rows):
        assert scratch.is_dir()
        raise AttuneError(f"expected more than {users} users")

    monkeypatch.setattr(report, "measure", refuse)
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path / "home"))
    assert main(["--users", "3"]) == 1
    assert capsys.readouterr().err == "expected more than 3 users\n"
    assert list((tmp_path / "home").iterdir()) == []


def test_sizes_are_numbers():
    with pytest.raises(SystemExit):
        main(["--users", "many"])
