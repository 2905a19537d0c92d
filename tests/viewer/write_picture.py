"""Takes the README's picture of the viewer: python -m tests.viewer.write_picture"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from tests.conftest import ROOT
from tests.service.server import Server
from tests.viewer.screen import Screen

TARGET = ROOT / "docs" / "viewer.png"
WIDTH, HEIGHT = 1265, 1420
RISK_SHOWN = "return document.querySelector('.words')?.innerText.includes('what moved the predicted risk')"


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="ecg-picture-"))
    with Server(folder) as server, Screen(folder) as screen:
        screen.size(1280, 1500)
        screen.start(server.url)
        screen.sample("muse_xml")
        screen.run("document.querySelector('.attention input[value=risk]').click()")
        screen.wait(RISK_SHOWN)
        screen.run("document.activeElement.blur(); scrollTo(0, 0); await new Promise((done) => setTimeout(done, 400))")
        whole = Image.open(screen.picture("readme")).convert("RGB").crop((0, 0, WIDTH, HEIGHT))
    # Few colours keep it small; this way of choosing them keeps the accents.
    whole.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
