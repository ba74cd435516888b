"""``python -m oneinbox`` is the same as ``oneinbox``."""

from oneinbox.cli import main

if __name__ == "__main__":
    main()
