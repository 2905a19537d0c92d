"""One browser and one server for the viewer's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service.server import Server
from tests.viewer.screen import Screen


@pytest.fixture(scope="session")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with Screen(tmp_path_factory.mktemp("screen")) as running:
        yield running


@pytest.fixture(scope="session")
def viewer_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("viewer")) as running:
        yield running


@pytest.fixture
def page(screen: Screen, viewer_server: Server) -> Screen:
    """The first page, fresh, in a window of the usual size; what the console said before is forgotten."""
    screen.size(1280, 900)
    screen.scheme("light")
    screen.start(viewer_server.url)
    screen.complaints()
    return screen
