"""``python -m nas_search.train``: train finalists of a search, or architectures of your own."""

from nas_search.commands.train import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
