"""AWS's Step Functions API: protocol, validation, actions by theme. Imports floor 4 and below."""
