"""The contract suite on every database that we bring along."""

from mfprefect.testing.contract import *  # noqa: F403
