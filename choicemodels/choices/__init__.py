"""Choices as observed: who was offered what, and took which."""
