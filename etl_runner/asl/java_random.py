"""java.util.Random, as far as AWS's functions show it: the same seed gives the same numbers for ever."""

from typing import Final

_MASK: Final = (1 << 48) - 1
_MULTIPLIER: Final = 0x5DEECE66D
_INCREMENT: Final = 0xB
_INT_MAX: Final = 2**31 - 1


def scrambled(seed: int) -> int:
    """Give the generator's first state for a seed."""
    return (seed ^ _MULTIPLIER) & _MASK


def next_double(seed: int) -> float:
    """Give the first nextDouble() of Random(seed): 0 <= x < 1."""
    first = _next(scrambled(seed))
    second = _next(first)
    return ((first >> 22 << 27) + (second >> 21)) / (1 << 53)


def next_int(seed: int, bound: int) -> int:
    """Give the first nextInt(bound) of Random(seed): 0 <= x < bound."""
    state = scrambled(seed)
    while True:
        state = _next(state)
        bits = state >> 17
        if bound & (bound - 1) == 0:
            return (bound * bits) >> 31
        # Java draws again where the last, incomplete round of `bound` numbers would favour the small ones.
        if bits - bits % bound + bound - 1 <= _INT_MAX or bound > _INT_MAX:
            return bits % bound


def _next(state: int) -> int:
    return (state * _MULTIPLIER + _INCREMENT) & _MASK
