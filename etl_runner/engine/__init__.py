"""The engine: the shell around the machine (turn, dispatch, timers, map runs). May import floor 3 and below."""
