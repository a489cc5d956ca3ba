"""The order in which distill shows its training rows, drawn again as `TrainingOrder` of distill-data draws it.

A ChaCha8 stream whose key is the seed and the epoch (64 bits each, little-endian, then zeros) shuffles the rows from the last
place down (Fisher and Yates); a number from the stream's incomplete last span is drawn again, so that no place is likelier.
"""

import struct

WORD = 0xFFFFFFFF
SPAN = 2**64 - 1


def turned(word, bits):
    return (word << bits | word >> (32 - bits)) & WORD


def quarter_round(state, a, b, c, d):
    """Section 2.1 of RFC 8439."""
    for one, other, last, bits in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)]:
        state[one] = (state[one] + state[other]) & WORD
        state[last] = turned(state[last] ^ state[one], bits)


def chacha8(key):
    """The stream of a 32-byte key as numbers of 64 bits; a block's counter has 64 bits and begins at 0."""
    block = 0
    while True:
        start = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), block & WORD, block >> 32, 0, 0]
        state = list(start)
        for _ in range(4):
            for column in range(4):
                quarter_round(state, *range(column, 16, 4))
            for column in range(4):
                quarter_round(state, column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
        words = [(word + first) & WORD for word, first in zip(state, start)]
        yield from (low | high << 32 for low, high in zip(words[::2], words[1::2]))
        block += 1


def below(bound, stream):
    spans = SPAN // bound
    return next(number for number in stream if number < spans * bound) % bound


def epoch(rows, seed, number):
    """The rows 0 to `rows` - 1 in the order of epoch `number`, counted from 0."""
    order, stream = list(range(rows)), chacha8(struct.pack("<QQ16x", seed, number))
    for last in range(rows - 1, 0, -1):
        other = below(last + 1, stream)
        order[last], order[other] = order[other], order[last]
    return order
