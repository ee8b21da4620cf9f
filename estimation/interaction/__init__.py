"""Spatial-interaction models: calibration, comparison and what is left in their residuals."""
