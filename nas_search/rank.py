"""``python -m nas_search.rank``: how well scores rank the architectures of a table."""

from nas_search.commands.rank import main

if __name__ == "__main__":
    main()
