"""The viewer in a real Chromium: files given, keys pressed, windows sized, pictures taken."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from tests.conftest import CACHE
from tests.service.browser import _ELEMENT, Browser

PICTURES = CACHE / "screenshots"
SHOWN = "return document.querySelector('.result .percentile') !== null"
REFUSED = "return document.querySelector('.problem code')?.textContent ?? null"


class Screen(Browser):
    """What a person does at the page."""

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of the browser's own protocol."""
        return self._post("goog/cdp/execute", cmd=name, params=parameters)

    def size(self, width: int, height: int, *, touch: bool = False) -> None:
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch
        )

    def scheme(self, name: str) -> None:
        """What the person's system prefers: dark or light."""
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def give(self, *files: Path) -> None:
        """Files chosen in the page's own field."""
        found = self._post("element", using="css selector", value="#files")[_ELEMENT]
        self._post(f"element/{found}/value", text="\n".join(map(str, files)))

    def press(self, *keys: str) -> None:
        """Keys as the keyboard sends them, to whatever has the focus."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._post("actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def drag(self, *points: tuple[float, float]) -> None:
        """The mouse, pressed at the first point of the window and let go at the last."""
        moves = [{"type": "pointerMove", "x": round(x), "y": round(y), "duration": 30} for x, y in points]
        actions = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:], {"type": "pointerUp", "button": 0}]
        self._post("actions", actions=[{"type": "pointer", "id": "mouse", "actions": actions}])

    def hover(self, x: float, y: float) -> None:
        move = {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0}
        self._post("actions", actions=[{"type": "pointer", "id": "mouse", "actions": [move]}])

    def start(self, url: str) -> None:
        """A fresh page with its samples on offer."""
        self.open(f"{url}/")
        self.wait("return document.querySelectorAll('#samples button').length > 0")

    def sample(self, format: str) -> None:
        """A sample chosen on the first page, until its result stands there."""
        self.run("document.querySelector(`#samples [data-format=${args[0]}]`).click()", format)
        self.wait(SHOWN)

    def box(self, css: str) -> dict[str, float]:
        found: dict[str, float] = self.run(
            "const element = document.querySelector(args[0]);"
            "const block = element.offsetHeight > innerHeight ? 'start' : 'center';"
            "element.scrollIntoView({block, behavior: 'instant'});"
            "const {x, y, width, height} = element.getBoundingClientRect();"
            "return {x, y, width, height}",
            css,
        )
        return found

    def picture(self, name: str, *, whole: bool = True) -> Path:
        """What the page looks like, kept beside the others."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        shot = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole))
        path = PICTURES / f"{name}.png"
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self.command("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def paper(self) -> bytes:
        """The page as a printer gets it, as PDF."""
        printed = self.command("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        return base64.b64decode(printed["data"])
