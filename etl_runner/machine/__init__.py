"""The machine: facts, and the function that decides the next ones. Pure; may import asl and floor 0."""
