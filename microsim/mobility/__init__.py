"""The fitted choice between staying and moving, taken apart for the simulation."""
