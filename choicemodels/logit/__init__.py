"""Multinomial and nested logits: specifications, likelihoods and their kernels."""
