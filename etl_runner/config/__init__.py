"""Configuration: YAML files into validated models with file:line:column. May import floor 0 to 2 only."""
