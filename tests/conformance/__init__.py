"""Scenarios recorded from AWS, played through boto3 against the real program."""
