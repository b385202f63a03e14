"""Documentation of clients is not shipped."""
