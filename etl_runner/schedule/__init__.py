"""Schedules and events: what is due, what matches, and the service that fires. May import floors 3 to 0."""
