"""Running states and whole machines offline: mocks for tasks, virtual time. Imports floor 2 and below."""
