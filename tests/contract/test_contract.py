"""The contract suite on every database that we bring along."""

import pytest

from mfprefect.testing.contract import *  # noqa: F403


@pytest.fixture
def schema_url(database_url: str) -> str:  # type: ignore[no-redef]
    """The copy that `database_url` makes of a schema."""
    return database_url
