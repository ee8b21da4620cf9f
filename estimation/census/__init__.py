"""The census side of harmonization: targets, their margins of error, and their boundaries."""
