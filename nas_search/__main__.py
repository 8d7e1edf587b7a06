"""``python -m nas_search``: search for architectures."""

from nas_search.commands.search import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
