"""Service integrations, one file each: its INTEGRATION is found by scanning and checked when it registers."""
