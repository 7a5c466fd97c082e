"""Schedules and events: what is due, what matches, and the service that fires. May import floor 3 and below."""
