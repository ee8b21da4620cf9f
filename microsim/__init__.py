"""What people would do: synthesis, scenarios and the monthly engine."""

__all__: list[str] = []
