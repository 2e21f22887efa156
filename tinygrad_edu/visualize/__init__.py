"""Pictures of graphs, networks and trainings. The libraries that draw are loaded when the first picture is drawn."""

from tinygrad_edu.visualize.drawing import Arrow, Box, Drawing

__all__ = ["Arrow", "Box", "Drawing"]
