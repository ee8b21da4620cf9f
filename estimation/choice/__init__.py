"""Choice models fitted, tested and put to use."""
