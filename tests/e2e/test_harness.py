"""The harness sees what it is there to see."""

import pytest

from tests.e2e.harness import tracebacks


@pytest.mark.parametrize(
    "log",
    [
        'Traceback (most recent call last):\n  File "a.py"\nValueError: kaput\n',
        "\x1b[31m──\x1b[0m\x1b[1;31mTraceback \x1b[0m\x1b[2m(most recent call last)\x1b[0m\nkaput",
    ],
)
def test_a_traceback_in_the_log_is_a_fault(log):
    (fault,) = tracebacks("started\n" + log)
    assert "kaput" in fault


def test_a_quiet_log_has_no_fault():
    assert tracebacks("Uvicorn server started on 127.0.0.1:41687\n") == []
