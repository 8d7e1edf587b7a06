"""``python -m nas_search.train``: train finalists or architectures of one's own."""

from nas_search.commands.train import main

if __name__ == "__main__":
    main()
