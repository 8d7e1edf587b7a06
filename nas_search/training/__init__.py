"""Training for real: recipes, the loop, finalists, fine-tuning, and taking a network away."""

from nas_search.training.candidate import Candidate, Plan, Views
from nas_search.training.confirm import confirm
from nas_search.training.finalists import Finalists, choose_finalists, edit_distance
from nas_search.training.fine_tune import Pretrained, read_pretrained
from nas_search.training.recipe import Recipe

__all__ = [
    "Candidate",
    "Finalists",
    "Plan",
    "Pretrained",
    "Recipe",
    "Views",
    "choose_finalists",
    "confirm",
    "edit_distance",
    "read_pretrained",
]
