"""The matrix products of backpropagation.

- `tile`: the micro-kernel, a small tile of a product held in registers; its idea is told there
- `matrix`: a matrix in memory, and its two orders
- `blocking`: a product of any size, cut into tiles
- `products`: W A + b, W^T delta and delta A^T as such products
- `sums`: the sum of the columns of a matrix
"""
