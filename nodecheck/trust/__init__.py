"""Turn bytes into proof."""
