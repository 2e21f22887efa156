"""Pictures of graphs, networks and trainings. The libraries that draw are loaded when the first picture is drawn."""

from tinygrad_edu.visualize.drawing import Arrow, Box, Drawing
from tinygrad_edu.visualize.expression import ExpressionError, draw_expression
from tinygrad_edu.visualize.graph_picture import draw_graph
from tinygrad_edu.visualize.network_picture import draw_network
from tinygrad_edu.visualize.plots import draw_confusion, draw_images, draw_training
from tinygrad_edu.visualize.recording import Recording, record

__all__ = [
    "Arrow",
    "Box",
    "Drawing",
    "ExpressionError",
    "Recording",
    "draw_confusion",
    "draw_expression",
    "draw_graph",
    "draw_images",
    "draw_network",
    "draw_training",
    "record",
]
