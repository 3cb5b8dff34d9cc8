"""A headless Chromium, driven over a pipe by its DevTools protocol: no library, no port."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

__all__ = ["BINARY", "Chromium"]

BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)

# The browser reads commands on descriptor 3 and writes answers on 4, whatever we have open.
_START = """
import os, sys
given, answers = os.dup(int(sys.argv[1])), os.dup(int(sys.argv[2]))
high = os.dup(given), os.dup(answers)
os.dup2(high[0], 3)
os.dup2(high[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
_KEYS = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9}


class Chromium:
    """One page in one browser."""

    def __init__(self, profile: Path, *, width: int = 1100, height: int = 1000) -> None:
        self._profile = profile
        self._size = (width, height)
        self._number = 0
        self._session: str | None = None
        self._left = b""

    def __enter__(self) -> Self:
        assert BINARY is not None
        given, self._writes = os.pipe()
        self._reads, answers = os.pipe()
        flags = (
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--remote-debugging-pipe", f"--user-data-dir={self._profile}"),
            *("--disable-background-networking", "--disable-component-update"),
            "--window-size={},{}".format(*self._size),
        )
        start = [sys.executable, "-c", _START, str(given), str(answers), BINARY]
        self._process = subprocess.Popen(
            [*start, *flags, "about:blank"],
            pass_fds=(given, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(given)
        os.close(answers)
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in targets if one["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        self.send("Page.enable")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._writes)
        os.close(self._reads)
        self._process.kill()
        self._process.wait()

    def send(self, method: str, **parameters: object) -> dict[str, Any]:
        """Sends a command, and waits for its answer; events are passed over."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            some = os.read(self._reads, 1 << 16)
            assert some, "the browser is gone"
            self._left += some
        whole, _, self._left = self._left.partition(b"\0")
        return dict(json.loads(whole))

    def open(self, url: str) -> None:
        self.send("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """What a JavaScript expression comes to; a promise is waited for."""
        result = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 20.0) -> None:
        """Waits until an expression is true."""
        found = self.evaluate(
            f"""new Promise((resolve) => {{
              const end = Date.now() + {1000 * seconds};
              const look = () => {{
                let found = false;
                try {{ found = Boolean({expression}); }} catch {{}}
                if (found || Date.now() > end) resolve(found);
                else setTimeout(look, 20);
              }};
              look();
            }})"""
        )
        assert found, f"never true: {expression}\n{self.evaluate('document.body.innerText')}"

    def press(self, *keys: str) -> None:
        """Presses keys, by their names ("Enter") or characters, as a keyboard does."""
        for key in keys:
            code = _KEYS.get(key, ord(key[0].upper()))
            common = {"key": key, "windowsVirtualKeyCode": code}
            text = (
                {} if len(key) > 1 and key != "Enter" else {"text": "\r" if len(key) > 1 else key}
            )
            self.send("Input.dispatchKeyEvent", type="keyDown", **common, **text)
            self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def screenshot(self, path: Path) -> None:
        content = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(content["data"]))
