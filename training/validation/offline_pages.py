"""Make Great Expectations' pages show without the internet: their styles and scripts come from this home alone.

Its templates name content delivery networks. Bootstrap, Popper and jQuery are copied once from the package that carries
them (Bootstrap-Flask); what is left away served tables of many runs, of which a site here has one, and graphs, which no
suite draws.
"""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

from training.storage import replace_file

FOLDER = "bootstrap4"
CARRIED = {"bootstrap.min.css": "css", "popper.min.js": "umd", "bootstrap.min.js": "js", "jquery.min.js": ""}
"""The files that pages take from this home, and where each lies in the package."""
_REMOTE = re.compile(
    r"[ \t]*(<link\b[^>]*?\bhref=\"https?://[^>]*>|<script\b[^>]*?\bsrc=\"https?://[^>]*>\s*</script>)\n?"
)
_NAME = re.compile(r"(?:href|src)=\"https?://[^\"]*?([\w.-]+)\"")
_LOGO = re.compile(r"https://great-expectations-web-assets[^\"')]*")
_OWN = re.compile(r"(?<=[\"'])(?:\.\.?/)*static/")
"""Great Expectations' own files; it counts the folders up to them wrongly on some pages."""
_NEWSLETTER = re.compile(r"<footer.*?</footer>", re.DOTALL)
_ICONS = (
    "<style>.fa-check-circle::before{content:'\\2714'} .fa-times::before{content:'\\2718'} "
    ".fa-exclamation-triangle::before{content:'\\26A0'} .fas{font-style:normal}</style>\n"
)


def make_offline(site: Path, static: Path) -> None:
    """Rewrite every page of a site so that it names nothing outside `static`, and open it on its only result.

    Args:
        site: Folder of the site, `index.html` and `validations/` in it.
        static: Folder that pages reach as `static` beside their index; the carried files are copied into it.
    """
    _carry(static / FOLDER)
    for page in site.rglob("*.html"):
        root = os.path.relpath(site / "static", page.parent)
        page.write_text(offline(page.read_text(encoding="utf-8"), root), encoding="utf-8")
    results = sorted((site / "validations").rglob("*.html"))
    if len(results) == 1:
        target = results[0].relative_to(site).as_posix()
        (site / "index.html").write_text(_forward(target), encoding="utf-8")


def offline(page: str, root: str) -> str:
    """Return a page whose styles, scripts and images lie below `root`."""
    page = _REMOTE.sub(lambda found: _local(found[1], root), page)
    page = _OWN.sub(f"{root}/", _LOGO.sub("static/images/logo-long.png", page))
    return _NEWSLETTER.sub("", page).replace("</head>", f"{_ICONS}</head>", 1)


def _local(element: str, root: str) -> str:
    """Return the element that stands for one that names another host, "" where nothing is to stand for it."""
    found = _NAME.search(element)
    name = re.sub(r"^jquery(-\d+)(\.\d+)*", "jquery", found[1]) if found else ""
    if name not in CARRIED:
        return ""
    path = f"{root}/{FOLDER}/{name}"
    return f'<script src="{path}"></script>\n' if name.endswith(".js") else f'<link rel="stylesheet" href="{path}"/>\n'


def _carry(folder: Path) -> None:
    package = importlib.util.find_spec("flask_bootstrap")
    assert package is not None
    assert package.origin is not None
    source = Path(package.origin).parent / "static" / "bootstrap4"
    for name, where in CARRIED.items():
        if not (folder / name).exists():
            with replace_file(folder / name) as temporary:
                temporary.write_bytes((source / where / name).read_bytes())


def _forward(target: str) -> str:
    refresh = f'<meta http-equiv="refresh" content="0; url={target}">'
    return f'<!DOCTYPE html><meta charset="utf-8">{refresh}<a href="{target}">The results</a>\n'
