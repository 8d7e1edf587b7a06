"""``python -m nas_search.sweep FOLDER``: what the searches of a sweep found, and what failed."""

from nas_search.commands.sweep import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
