"""The programs of M. Nielsen's book *Neural Networks and Deep Learning*, many times as fast, with the same numbers.

Only the import changes; all else in a reader's program stays what it is:

    from mbbp.nielsen import mnist_loader, network, network2

The interface is the book's, in Python 3: lists of pairs (x, y) of columns, `weights` and `biases` as plain lists of
arrays, what is printed and returned, and the random numbers of `random` and `numpy.random`. So with the same seeds the
initial weights and the shuffles are the book's, and in float64 each step is too, but for the rounding of sums that are
taken in another order: 1e-15, and after an epoch of chapter 3's networks about 1e-14. But the large initial weights of
chapter 1 with eta = 3.0 make of training itself what drives the last digit apart: after some thousand steps the book's
code, with one weight changed in its last digit, is as far from itself as it is from this. What such networks print
agrees for an epoch or so, and then in its first digits only.

What the book does example by example, the compiled engine does for a whole epoch in one call. Where a subclass
overrides one of the book's methods, a cost class is the reader's own, or the module's `sigmoid` was replaced, that is
what is called, in a loop like the book's and at its pace. `feedforward` and `backprop` of one example are plain NumPy.

What is not as in the book:

- `dtype="float32"` for the constructors and `network2.load` is faster still, and as exact as float32 is.
- What is wrong with an argument is said before anything changes. Only columns are taken: the book lets NumPy stretch an
  x or a y of another shape to a matrix, and trains for something else.
- The examples are read once for each call of `SGD`: who changes an array of theirs in between changes the next call.
- Parameters that overflow are the loop's matter too: it goes on with NaN, as the book does.
- `early_stopping_n` is that of the book's translations into Python 3.
"""

from mbbp.nielsen import mnist_loader, network, network2

__all__ = ["mnist_loader", "network", "network2"]
