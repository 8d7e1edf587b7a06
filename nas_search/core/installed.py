"""How this installation gets the packages of an extra: from a checkout, or from an index."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

_CHECKOUT = Path(__file__).parents[2]


def how_to_install(extra: str) -> str:
    """Return the command that installs ``nas-search[extra]`` the way nas-search was installed."""
    source = _source()
    if source is None:
        return f"pip install 'nas-search[{extra}]'"
    folder, editable = source
    return f"pip install {'-e ' if editable else ''}{shlex.quote(f'{folder}[{extra}]')}"


def _source() -> tuple[Path, bool] | None:
    """Return the folder that nas-search was installed from and whether it is used in place.

    None if it came from an index.
    """
    if (_CHECKOUT / "pyproject.toml").exists():
        return _CHECKOUT, True
    try:
        text = importlib.metadata.distribution("nas-search").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    url = urlparse(str(json.loads(text).get("url", ""))) if text else None
    if url is None or url.scheme != "file":
        return None
    path = unquote(url.path)
    return Path(path.lstrip("/") if sys.platform == "win32" else path), False
