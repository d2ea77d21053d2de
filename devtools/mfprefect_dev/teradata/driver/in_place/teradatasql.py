"""The emulated driver, imported instead of the real one if this folder is first on the path."""

from __future__ import annotations

from mfprefect_dev.teradata.driver.dbapi import *  # noqa: F403
from mfprefect_dev.teradata.driver.dbapi import __version__ as __version__
