"""The store: SQLModel tables and what is read from and committed to them. May import machine and below."""
