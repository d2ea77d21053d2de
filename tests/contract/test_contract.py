"""The contract suite on every database that we bring along."""

import pytest

from mfprefect.testing.contract import *  # noqa: F403


@pytest.fixture  # type: ignore[no-redef]
def schema_url(database_url: str) -> str:
    """The copy that `database_url` makes of a schema."""
    return database_url
