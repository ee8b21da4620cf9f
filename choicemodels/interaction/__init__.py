"""Spatial interaction: Wilson's gravity family, opportunities, radiation, and balancing."""
