"""``python -m nas_search.report PATH``: one HTML file that shows what a folder holds."""

from nas_search.commands.report import main

if __name__ == "__main__":
    main()
