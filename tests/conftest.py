"""What all tests share: the flag that writes goldens anew."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --update-goldens."""
    parser.addoption(
        "--update-goldens", action="store_true", help="Write goldens and the README's sessions anew."
    )


@pytest.fixture
def update_goldens(request: pytest.FixtureRequest) -> bool:
    """Whether goldens are to be written instead of compared."""
    return bool(request.config.getoption("--update-goldens"))
