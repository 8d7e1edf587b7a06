"""Training: recipes, the loop, finalists and fine-tuning."""

from nas_search.training.choice import FinalistsConfig, choose_finalists, edit_distance
from nas_search.training.finalist import Finalist, Renderers, TrainingPlan
from nas_search.training.fine_tune import Pretrained, read_pretrained
from nas_search.training.recipe import Recipe
from nas_search.training.train_finalists import train_finalists

__all__ = [
    "Finalist",
    "FinalistsConfig",
    "TrainingPlan",
    "Pretrained",
    "Recipe",
    "Renderers",
    "choose_finalists",
    "train_finalists",
    "edit_distance",
    "read_pretrained",
]
