"""Models: the registry, thresholds, stages, promotion, gates and input columns."""
