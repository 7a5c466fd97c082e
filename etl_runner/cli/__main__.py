"""`python -m etl_runner.cli`, for where the console script is not on the path."""

from etl_runner.cli import main

if __name__ == "__main__":
    main()
