"""Talk to AWS at corrected time."""
