"""Pages: the report of a run, a sweep, a ranking or a training as one HTML file."""
