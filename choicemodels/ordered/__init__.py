"""Ordered logit and probit."""
