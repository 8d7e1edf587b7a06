"""``python -m nas_search.rank``: how well scores rank the architectures of a table."""

from nas_search.commands.rank import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
