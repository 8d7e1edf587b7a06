"""A headless Chromium, driven by chromedriver over WebDriver, which is HTTP and JSON.

Debian has both (packages ``chromium`` and ``chromium-driver``); no Python package is needed.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MISSING = "needs Chromium and chromedriver (apt-get install chromium chromium-driver)"
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars"),
)


def is_installed() -> bool:
    """Whether both programs are there."""
    return bool(_chromium() and shutil.which("chromedriver"))


def _chromium() -> str | None:
    names = ("google-chrome", "chromium", "chromium-browser")  # the first is GitHub's driver's own
    return next((found for name in names if (found := shutil.which(name))), None)


class Browser:
    """A window; see :func:`browser`."""

    def __init__(self, address: str) -> None:
        self._address = address

    def send(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a command of WebDriver and return its value."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._address + path, data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def open(self, page: Path | str, width: int = 1280, dark: bool = False) -> None:
        """Open a page in a window of that width and wait until it is ready."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", features=[scheme])
        self.log()
        self.requests()
        self.send("/url", {"url": page.as_uri() if isinstance(page, Path) else page})
        self.wait("return document.documentElement.dataset.ready === 'true'")

    def cdp(self, command: str, **arguments: Any) -> Any:
        """Send a command of Chromium's own protocol."""
        return self.send("/goog/cdp/execute", {"cmd": command, "params": arguments})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript and return what it returns."""
        return self.send("/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script: str, seconds: float = 20.0) -> Any:
        """Run JavaScript until it returns something true, and return that."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.1)
        return value

    def log(self) -> list[str]:
        """Return what is new in the console."""
        return [entry["message"] for entry in self.send("/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the last call."""
        entries = self.send("/se/log", {"type": "performance"})
        events = [json.loads(entry["message"])["message"] for entry in entries]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def mouse(self, *steps: dict[str, Any]) -> None:
        """Do steps of a mouse: ``{"type": "pointerMove", "x": 10, "y": 10}``, ..."""
        pointer = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
        self.send("/actions", {"actions": [{**pointer, "actions": list(steps)}]})

    def keys(self, *keys: str) -> None:
        """Press keys one after the other."""
        steps = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.send("/actions", {"actions": [{"type": "key", "id": "keys", "actions": steps}]})

    def picture(self, whole: bool = False) -> bytes:
        """Return what is seen, or the whole page, as a PNG file."""
        if whole:
            height = self.run("return document.documentElement.scrollHeight")
            width = self.run("return innerWidth")
            self.cdp(
                "Emulation.setDeviceMetricsOverride",
                width=width, height=height, deviceScaleFactor=1, mobile=False,
            )  # fmt: skip
            time.sleep(1.0)
        return base64.b64decode(self.send("/screenshot"))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Give a browser whose profile lies in ``folder``."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert driver.stdout is not None
    try:
        port = next(
            line.split()[-1].rstrip(".")
            for line in driver.stdout
            if "started successfully on port" in line
        )
        address = f"http://127.0.0.1:{port}/session"
        options = {
            "binary": _chromium(),
            "args": [*FLAGS, f"--user-data-dir={folder / 'profile'}"],
        }
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        session = Browser(address).send("", {"capabilities": {"alwaysMatch": wanted}})
        window = Browser(f"{address}/{session['sessionId']}")
        try:
            yield window
        finally:
            request = urllib.request.Request(window._address, method="DELETE")
            urllib.request.urlopen(request, timeout=30).close()
    finally:
        driver.terminate()
        driver.wait()
