"""The secrets that make_env.py writes: fresh, one of its own for each, seen by their owner alone, never over others."""

import re
import stat

from cryptography.fernet import Fernet

from tests.docker.native.__main__ import make_env
from tests.docker.native.composed import read_env_file
from tests.docker.native.world import DOCKER

EXAMPLE = (DOCKER / "example.env").read_text()
EMPTY = re.findall(r"^(\w+)=$", EXAMPLE, flags=re.MULTILINE)


def test_every_empty_line_gets_a_secret_of_its_own_and_the_rest_stays(tmp_path):
    assert make_env().main(tmp_path) == 0
    found = read_env_file(tmp_path / ".env")
    secrets = [found[name] for name in EMPTY]
    assert len(set(secrets)) == len(EMPTY)
    assert all(len(secret) >= 44 for secret in secrets)
    assert re.sub(r"^(\w+)=[0-9A-Za-z_=-]{44,}$", r"\1=", (tmp_path / ".env").read_text(), flags=re.M) == EXAMPLE
    Fernet(found["FERNET_KEY"])


def test_a_secret_needs_no_quoting_in_an_address():
    for name in EMPTY:
        if name != "FERNET_KEY":
            secret = make_env().filled(f"{name}=").partition("=")[2].strip()
            assert re.fullmatch(r"[0-9a-f]{64}", secret)


def test_only_its_owner_reads_the_file_and_a_second_call_leaves_it(tmp_path, capsys):
    make_env().main(tmp_path)
    path = tmp_path / ".env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert make_env().main(tmp_path) == 1
    assert "found one" in capsys.readouterr().err
    assert path.read_bytes() == before
