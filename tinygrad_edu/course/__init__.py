"""The trainings of the course, E1 to E9: one recipe each, and what carries a recipe out."""

from tinygrad_edu.course.experiment import Result, perform
from tinygrad_edu.course.recipe import Figures, Recipe
from tinygrad_edu.course.recipes import RECIPES

__all__ = ["RECIPES", "Figures", "Recipe", "Result", "perform"]
