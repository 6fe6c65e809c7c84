"""Networks in the formats of other programs: out of mbbp, and into it."""
