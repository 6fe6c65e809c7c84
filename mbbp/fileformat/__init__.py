"""The file of a network: an .npz archive with a description as JSON, the numbers as arrays, and a checksum.

`contents` says what a file holds. `structure` and `progress` turn the two halves of it into JSON and arrays, and back;
`archive` writes and reads the file itself.
"""

from mbbp.fileformat.archive import check, check_ending, read, read_many, write, write_many
from mbbp.fileformat.contents import Contents, Progress, Structure

__all__ = ["Contents", "Progress", "Structure", "check", "check_ending", "read", "read_many", "write", "write_many"]
