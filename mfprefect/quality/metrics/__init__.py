"""Metrics by type of model, their definitions and versions, curves and calibration."""
