"""The version of the package, for files that tell what wrote them."""

VERSION = "0.1.0"
