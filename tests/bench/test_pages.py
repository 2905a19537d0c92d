"""The pages about speed are what the stored results say."""

from __future__ import annotations

import copy
import re

from bench import _document, scaling


def test_both_pages_are_made_of_the_results() -> None:
    """What lies in docs/ is what the results beside it give, to the last character: no figure is typed."""
    found = _document.known()
    assert _document.PAGE.read_text() == _document.page(found)
    assert scaling.PAGE.read_text() == scaling.page(found)


def test_a_dearer_request_needs_more() -> None:
    """With a thousandfold cost of a request the region needs more pods than the least."""
    found = copy.deepcopy(_document.known())
    for line in found["service"]["lines"]:
        line["cpu_ms"] *= 1000
    told = scaling.page(found)
    pods = re.search(r"\| WFDB \|(?:[^|]+\|){3} (\d+) \|", told)
    assert pods
    assert int(pods.group(1)) > 2


def test_an_aim_that_is_missed_is_said_to_be() -> None:
    """Where the cost exceeds the aim the page says no, and yes where it does not."""
    found = copy.deepcopy(_document.known())
    for line in found["service"]["lines"]:
        line["rounds_cpu_ms"] = [sum(each.values()) * 2.6 for each in found["service"]["floors_ms"]]
    assert "| 2.60 | 2.50 | no |" in _document.page(found)
    for line in found["service"]["lines"]:
        line["rounds_cpu_ms"] = [sum(each.values()) * 2.4 for each in found["service"]["floors_ms"]]
    assert "| 2.40 | 2.50 | yes |" in _document.page(found)
