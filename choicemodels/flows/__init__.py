"""Flows between places, and what may be assumed about them."""
