"""Found in place of the real driver where this folder comes first on the path: emulated."""

from __future__ import annotations

from mfprefect_dev.teradata.driver.dbapi import *  # noqa: F403
from mfprefect_dev.teradata.driver.dbapi import __version__ as __version__
