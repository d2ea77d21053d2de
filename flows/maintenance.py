"""The maintenance flow for all models; prefect.yaml deploys it."""

from mfprefect.lifecycle.maintenance import maintain

__all__ = ["maintain"]
