"""A failed task leaves one page that says what failed, why, and what to run again."""

from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.airflow


def context(partition="2026-11-05", error=None):
    instance = SimpleNamespace(
        dag_id="train_matching", task_id="train", try_number=2, max_tries=2, log_url="http://127.0.0.1:1/logs"
    )
    run = SimpleNamespace(partition_key=partition, run_id="asset_triggered__x")
    dag = SimpleNamespace(doc_md="# train_matching\n\nWhat to do.")
    return {"ti": instance, "dag_run": run, "dag": dag, "exception": error}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path))
    return tmp_path


def write(values):
    from orchestration.alarm import write_failure_page

    write_failure_page(values)


def test_the_page_names_task_partition_error_log_and_runbook(home):
    write(context(error=ValueError("expected 120-d vectors")))
    page = (home / "reports/failures/2026-11-05/train_matching.train.md").read_text()
    assert page.startswith("# train_matching / train failed for 2026-11-05")
    assert "ValueError: expected 120-d vectors" in page
    assert "try 2 of 3" in page
    assert "http://127.0.0.1:1/logs" in page
    assert "What to do." in page


def test_a_run_without_a_key_has_a_page_too(home):
    write(context(partition=None, error=ValueError("no key")))
    assert (home / "reports/failures/no-partition/train_matching.train.md").is_file()


def test_a_killed_task_says_so(home):
    write(context())
    page = (home / "reports/failures/2026-11-05/train_matching.train.md").read_text()
    assert "killed or ended without an error" in page


def test_a_key_cannot_leave_the_folder(home):
    write(context(partition="../../etc"))
    assert not (home / "etc").exists()
    assert (home / "reports/failures/.._.._etc/train_matching.train.md").is_file()
