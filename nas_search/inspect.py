"""``python -m nas_search.inspect``: what a search would read of a data set."""

from nas_search.commands.inspect import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
