"""An AWS on this machine, for the demo and the tests. No other room imports this one."""
