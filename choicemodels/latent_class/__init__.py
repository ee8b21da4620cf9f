"""Latent class logits."""
