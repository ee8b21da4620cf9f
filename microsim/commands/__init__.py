"""The commands of ``nestflow``, one module a step of the work."""
