"""Tasks: an Invocation goes in, an Outcome comes out. May import machine and below, no sibling room."""
