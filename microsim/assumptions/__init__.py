"""Every number that is assumed: name, unit, default, bounds and source, by what it is about."""
