"""The engine: the shell around the machine (turn, dispatch, timers, map runs). May import floors 3 to 0."""
