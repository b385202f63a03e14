"""Tests that run inside Windows' own Python: ``scripts/windows test``."""
