"""The command line answers in one line when it cannot work."""

from training.bench.__main__ import main


def test_unknown_folder_is_one_line_and_exit_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path / "home"))
    assert main(["quality", "--data", str(tmp_path)]) == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in errors if "name a folder of logs" in line]) == 1


def test_readme_is_rewritten_from_the_reports(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path / "home"))
    reports, page = tmp_path / "home" / "reports" / "bench", tmp_path / "page.md"
    reports.mkdir(parents=True)
    (reports / "toy_temporal.md").write_text("a table")
    page.write_text("<!-- bench:temporal --><!-- /bench:temporal -->")
    assert main(["readme", "--page", str(page)]) == 0
    assert "a table" in page.read_text()
    assert "temporal" in capsys.readouterr().out
