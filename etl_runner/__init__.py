"""etl-runner: a durable runner of Amazon States Language workflows, with schedules and an S3-scale Map.

The rooms, from the top floor down; imports only go down (tests/test_ladder.py says so):

6  settings log listening ending daemon cli demo   5  api   4  engine schedule
3  store tasks s3 config offline   2  machine aws   1  asl   0  arn clock errors jsontypes lineage
"""

__version__ = "0.1.0"
