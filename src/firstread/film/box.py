"""A part of a film, as shares of its sides."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares of a film's width and height."""

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
