"""Chromium driven through its DevTools protocol over a pipe: one start for many checks of pages."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"),
    *("--no-first-run", "--disable-extensions", "--hide-scrollbars", "--remote-debugging-pipe"),
)


class Browser:
    """A browser with one tab.

    Attributes
    ----------
    events : list of dict
        What the tab has reported so far: console lines, requests, exceptions.
    """

    def __init__(self, profile: Path):
        commands, self.to_browser = os.pipe()
        self.from_browser, answers = os.pipe()
        # The protocol is spoken on descriptors 3 and 4; a shell puts ours there.
        shell = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
        self.process = subprocess.Popen(
            ["bash", "-c", shell, CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self.number, self.received, self.session = 0, b"", None
        self.events: list[dict[str, Any]] = []
        pages = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        attached = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method and return its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self, timeout: float = 60.0) -> dict[str, Any]:
        end = time.monotonic() + timeout
        while b"\0" not in self.received:
            ready, _, _ = select.select([self.from_browser], [], [], max(0.0, end - time.monotonic()))
            chunk = os.read(self.from_browser, 1 << 20) if ready else b""
            if not chunk:
                raise TimeoutError("the browser does not answer")
            self.received += chunk
        message, _, self.received = self.received.partition(b"\0")
        return json.loads(message)

    def open(self, page: Path) -> None:
        """Open a page and wait until it is loaded; forget the events of the one before."""
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events if "method" in event):
            self.events.append(self._next())

    def show(self, width: int, *, dark: bool = False) -> None:
        """Set the width of the window and the colour scheme."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def evaluate(self, expression: str) -> Any:
        """Evaluate JavaScript in the page, wait for it if it is a promise, and return its value."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        for _ in range(200):
            if self.evaluate(f"Boolean({condition})"):
                return
            time.sleep(0.05)
        raise TimeoutError(condition)

    def key(self, name: str) -> None:
        """Press a key."""
        code = {"ArrowRight": 39, "ArrowLeft": 37}[name]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code)

    def screenshot(self) -> bytes:
        """Return what the window shows as PNG."""
        answer = self.call("Page.captureScreenshot")
        return base64.b64decode(answer["data"])

    def pdf(self) -> bytes:
        """Return the page as it is printed on A4, as PDF."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"])

    def complaints(self) -> list[str]:
        """Return console lines, exceptions and log entries, and requests that left the page."""
        found = []
        for event in self.events:
            method, parameters = event.get("method", ""), event.get("params", {})
            if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
                found.append(f"{method}: {json.dumps(parameters)[:500]}")
            elif method == "Network.requestWillBeSent" and not parameters["request"]["url"].startswith(
                ("file:", "data:", "about:")
            ):
                found.append(f"request: {parameters['request']['url'][:200]}")
        return found

    def close(self) -> None:
        """End the browser."""
        self.session = None
        with contextlib.suppress(OSError, TimeoutError):
            self.call("Browser.close")
        self.process.wait(20)
        os.close(self.to_browser)
        os.close(self.from_browser)


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start a browser for a `with` block."""
    started = Browser(profile)
    try:
        yield started
    finally:
        started.close()
