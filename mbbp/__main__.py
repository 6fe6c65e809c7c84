"""``python -m mbbp`` is the command ``mbbp``."""

from mbbp.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
