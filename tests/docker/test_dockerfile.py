"""The image is built by the rules of hadolint, and nothing in it runs as root."""

import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docker.native.world import image_environment
from training.settings import REPO_ROOT

DOCKERFILE = REPO_ROOT / "docker" / "Dockerfile"


def test_hadolint_finds_nothing():
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout == ""


def test_hadolint_finds_what_is_wrong():
    hadolint = Path(sys.executable).with_name("hadolint")
    wrong = "FROM python:latest\nRUN cd /opt && pip install torch\n"
    done = subprocess.run([hadolint, "-"], input=wrong, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "DL3007" in done.stdout


def test_the_last_user_is_not_root():
    users = [line.split()[1] for line in DOCKERFILE.read_text().splitlines() if line.startswith("USER ")]
    assert users[-1] == "50000"


def test_the_image_installs_the_lock_and_nothing_beside_it_but_what_its_torch_needs():
    torch, locked, project = (line for line in DOCKERFILE.read_text().splitlines() if "pip install" in line)
    assert "--constraint requirements.lock torch " in torch
    assert "--no-deps --requirement requirements.lock" in locked
    assert "--no-deps" in project


def test_every_version_of_the_lock_is_pinned_and_public():
    lines = (REPO_ROOT / "requirements.lock").read_text().splitlines()
    assert len(lines) > 100
    assert "torch==2.13.0" in lines
    for line in lines:
        assert line.count("==") == 1, line
        assert not any(mark in line for mark in ("+", "@", "/", "file:", "--")), line


def test_the_lock_holds_every_package_that_the_project_asks_for():
    project = tomllib.loads((REPO_ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    locked = {canonicalize_name(line.split("==")[0]) for line in (REPO_ROOT / "requirements.lock").read_text().split()}
    assert {canonicalize_name(Requirement(one).name) for one in asked} <= locked


def test_airflow_keeps_to_itself_what_it_makes_up():
    """It writes keys that it was not given into its home, which hosts and services must not share."""
    found = image_environment()
    assert not Path(found["AIRFLOW_HOME"]).is_relative_to(found["ATTUNE_HOME"])
