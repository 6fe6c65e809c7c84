"""Random words made of a key and a counter: Threefry-2x32 with 13 rounds.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC 2011. Nothing is
remembered from one pair of words to the next: any thread can make any of them, again and again. 13 rounds are the
fewest that the authors have found to pass all statistical tests; their default of 20 leaves a margin.

It is made of additions, rotations and xor of 32 bits, which every processor has for vectors. To Numba a sum of two
words of 32 bits has 64, so the rounds are written as LLVM IR. A loop around them is then vectorised like any other.
"""

from mbbp.kernels.lowlevel.compiling import DISABLED, intrinsic
from mbbp.kernels.lowlevel.later import ir, types

ROUNDS = 13
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
PARITY = 0x1BD11BDA
BITS, LARGEST = 32, 0xFFFFFFFF


def _rounds(key, counter, constant, add, xor, rotate):
    """Return the two words, computed with these operations."""
    keys = (*key, xor(xor(constant(PARITY), key[0]), key[1]))
    left, right = add(counter[0], key[0]), add(counter[1], key[1])
    for number in range(1, ROUNDS + 1):
        left = add(left, right)
        right = xor(rotate(right, ROTATIONS[(number - 1) % 8]), left)
        if number % 4 == 0:
            turn = number // 4
            left = add(left, keys[turn % 3])
            right = add(right, add(keys[(turn + 1) % 3], constant(turn)))
    return left, right


if DISABLED:

    def random_words(key_0, key_1, counter_0, counter_1):
        """Return two random words of 32 bits; of each argument the lowest 32 bits count."""
        key, counter = ([int(word) & LARGEST for word in pair] for pair in ((key_0, key_1), (counter_0, counter_1)))
        return _rounds(
            key,
            counter,
            constant=int,
            add=lambda x, y: (x + y) & LARGEST,
            xor=lambda x, y: x ^ y,
            rotate=lambda x, n: ((x << n) | (x >> (BITS - n))) & LARGEST,
        )

else:

    @intrinsic
    def random_words(_, key_0, key_1, counter_0, counter_1):
        """Return two random words of 32 bits; of each argument the lowest 32 bits count."""
        i = types.int64
        pair = types.UniTuple(types.uint32, 2)

        def codegen(context, builder, signature, arguments):
            word = ir.IntType(BITS)
            key_0, key_1, counter_0, counter_1 = (builder.trunc(value, word) for value in arguments)

            def constant(value):
                return ir.Constant(word, value)

            def rotate(x, n):
                return builder.or_(builder.shl(x, constant(n)), builder.lshr(x, constant(BITS - n)))

            words = _rounds((key_0, key_1), (counter_0, counter_1), constant, builder.add, builder.xor, rotate)
            return context.make_tuple(builder, signature.return_type, words)

        return pair(i, i, i, i), codegen
