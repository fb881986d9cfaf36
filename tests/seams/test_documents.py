"""What the documents tell people to type exists."""

import re

import click
import pytest

from serving_export.__main__ import COMMANDS, attune
from training.jobs import JOBS
from training.settings import REPO_ROOT

DOCUMENTS = ["README.md", "dags/README.md", "docker/README.md", "serving_export/README.md", "training/ingest/README.md"]
COMMAND = re.compile(r"(?:python -m serving_export|\battune) ([a-z]+(?:-[a-z]+)*)")
LINE = re.compile(r"python -m serving_export ((?:(?!  |`|;|$).)+)", re.MULTILINE)
JOB = re.compile(r"(?:python -m training\.jobs|\battune jobs) ([a-z_]+)")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_and_job_of_a_document_exists(name):
    text = (REPO_ROOT / name).read_text(encoding="utf-8")
    commands, jobs = set(COMMAND.findall(text)), set(JOB.findall(text))
    assert commands | jobs
    assert commands <= set(COMMANDS), commands - set(COMMANDS)
    assert jobs <= set(JOBS), jobs - set(JOBS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_option_that_a_document_gives_a_command_is_one(name):
    for line in LINE.findall((REPO_ROOT / name).read_text(encoding="utf-8")):
        command, words = attune, line.split()
        while isinstance(command, click.Group) and words:
            command = command.get_command(click.Context(command), words.pop(0))
            assert command is not None, line
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help", "--json"}
        given = {word.strip("[]") for word in words if word.startswith("-")}
        assert given <= known, (line, given - known)


def test_the_server_profile_s_document_names_each_of_its_services():
    import yaml

    services = yaml.safe_load((REPO_ROOT / "docker/compose.yaml").read_text(encoding="utf-8"))["services"]
    named = set(re.findall(r"`([a-z-]+)`", (REPO_ROOT / "docker/README.md").read_text(encoding="utf-8")))
    assert set(services) <= named, set(services) - named
