"""What the documents tell people to type exists."""

import re

import pytest

from serving_export.__main__ import COMMANDS
from training.jobs import JOBS
from training.settings import REPO_ROOT

DOCUMENTS = ["README.md", "dags/README.md", "docker/README.md", "training/ingest/README.md"]
COMMAND = re.compile(r"(?:python -m serving_export|\battune) ([a-z]+)")
JOB = re.compile(r"(?:python -m training\.jobs|\battune jobs) ([a-z_]+)")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_and_job_of_a_document_exists(name):
    text = (REPO_ROOT / name).read_text(encoding="utf-8")
    commands, jobs = set(COMMAND.findall(text)), set(JOB.findall(text))
    assert commands | jobs
    assert commands <= set(COMMANDS), commands - set(COMMANDS)
    assert jobs <= set(JOBS), jobs - set(JOBS)


def test_the_server_profile_s_document_names_each_of_its_services():
    import yaml

    services = yaml.safe_load((REPO_ROOT / "docker/compose.yaml").read_text(encoding="utf-8"))["services"]
    named = set(re.findall(r"`([a-z-]+)`", (REPO_ROOT / "docker/README.md").read_text(encoding="utf-8")))
    assert set(services) <= named, set(services) - named
