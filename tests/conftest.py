"""What all tests share: the flag that writes goldens anew, and examples that are the same in every run.

``HYPOTHESIS_PROFILE=explore pytest …`` draws other examples every time, to look for more.
"""

import os
import signal

import pytest
from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

_USUAL = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}
"""What breaks commands under test off."""


def pytest_runtest_setup() -> None:
    """Hear signals, and so whatever a test starts does: a suite in the background need not, nor a command broken off."""
    for number, usual in _USUAL.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _USUAL)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --update-goldens."""
    parser.addoption(
        "--update-goldens", action="store_true", help="Write goldens and the README's sessions anew."
    )


@pytest.fixture
def update_goldens(request: pytest.FixtureRequest) -> bool:
    """Whether goldens are to be written instead of compared."""
    return bool(request.config.getoption("--update-goldens"))
