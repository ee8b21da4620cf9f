"""Who lived where a year ago: areas, and sparse matrices of the people who stay or move."""
