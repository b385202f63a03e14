"""Judge facts against policy: pure functions."""
