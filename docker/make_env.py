"""Write `.env` beside compose.yaml: example.env with a fresh secret wherever a value is empty; needs Python alone."""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
FERNET = "FERNET_KEY"
"""The one secret with a form of its own: 32 bytes, URL-safe base64."""


def filled(example: str) -> str:
    """Return the lines of example.env, each `NAME=` with a secret of its own behind it."""
    return "".join(f"{line}{_secret(line)}\n" for line in example.splitlines())


def _secret(line: str) -> str:
    if line.startswith("#") or not line.endswith("="):
        return ""
    if line == f"{FERNET}=":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_hex(32)


def main(folder: Path = FOLDER) -> int:
    """Write the file for its owner's eyes alone; one that is there is left as it is."""
    text = filled((FOLDER / "example.env").read_text(encoding="utf-8"))
    try:
        file = os.open(folder / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.stderr.write(f"error: expected no {folder / '.env'}, found one; README.md says how to change a secret\n")
        return 1
    with os.fdopen(file, "w", encoding="utf-8") as target:
        target.write(text)
    sys.stdout.write(f"wrote {folder / '.env'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
