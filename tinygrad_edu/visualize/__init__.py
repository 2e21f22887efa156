"""Pictures of graphs, networks and trainings. The libraries that draw are loaded when the first picture is drawn."""

from tinygrad_edu.visualize.drawing import Arrow, Box, Drawing
from tinygrad_edu.visualize.plots import draw_confusion, draw_images, draw_training

__all__ = ["Arrow", "Box", "Drawing", "draw_confusion", "draw_images", "draw_training"]
