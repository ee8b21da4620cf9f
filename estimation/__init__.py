"""How it is found, and how sure it is: fitting, covariances, tests and tables."""

__all__: list[str] = []
