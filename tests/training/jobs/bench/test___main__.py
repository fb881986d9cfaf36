"""The command line answers in one line when it cannot work."""

from training.jobs.bench.__main__ import main


def test_unknown_folder_is_one_line_and_exit_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path / "home"))
    assert main(["quality", "--data", str(tmp_path)]) == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in errors if "name a folder of logs" in line]) == 1
