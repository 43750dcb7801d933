"""A library in the source of the app."""

EACH = 2
