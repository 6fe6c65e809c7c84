"""What the tests of the book's programs share."""

import pytest

from tests.nielsen.helpers import watch_loop


@pytest.fixture
def loop_calls(monkeypatch):
    """Return a list to which every call of the compiled loop adds how many examples it was given."""
    return watch_loop(monkeypatch)
