"""The language: what a definition means. Pure; may import floor 0 only."""
