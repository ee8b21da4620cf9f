"""The household grid model: remote work and suburban flight on a periodic grid of cities."""
