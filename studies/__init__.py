"""What the scores, the search and the trainings are worth: one command per question.

The results are kept in ``studies/results/``; the tables in ``docs/`` are generated from them.
"""
