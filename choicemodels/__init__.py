"""What is observed and what is assumed: data containers and model specifications."""

__all__: list[str] = []
