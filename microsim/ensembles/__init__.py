"""Draws of the parameters by replicates by scenarios."""
