"""Changes of the schema, run by database.py when a store is opened."""
