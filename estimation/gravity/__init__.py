"""Gravity models by Poisson pseudo-maximum likelihood, and what follows from them."""
