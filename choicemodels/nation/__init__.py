"""A generated nation: areas, people and moves whose truth is known."""
