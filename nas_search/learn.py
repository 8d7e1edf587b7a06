"""``python -m nas_search.learn``: learn a prior from trained architectures."""

from nas_search.commands.learn import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
