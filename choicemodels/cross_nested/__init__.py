"""Cross-nested logits."""
