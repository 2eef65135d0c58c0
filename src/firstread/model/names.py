"""What there is, by name; known without torch, so that a wrong name is an error at once."""

from dataclasses import dataclass

ARCHITECTURES = ("cnn", "vgg19", "mobilenet_v2", "resnet10")
MIN_SIZE = {"cnn": 32, "vgg19": 32, "mobilenet_v2": 32, "resnet10": 16}
"""Pixels. Most halve the side five times, a ResNet for small films twice."""
MAX_SIZE = 1024
"""Pixels, well above any recipe that is shipped: a slip of a zero or two would fill the memory."""


@dataclass(frozen=True)
class Opening:
    """What a network does to a film first. Nothing of it learns; as made, it changes nothing.

    `standardise` brings every film to the mean and spread of a typical one, whatever its own
    brightness and contrast. `smooth`, in pixels, is the width of a Gaussian that takes the
    finest detail away, and most of any noise with it. `grain` smooths a film only as far as it
    has more fine detail than that (`firstread.model.opening.grain_of`): noise goes where there is
    some, a film without keeps what it has. In pixels, so that it belongs to a size.
    """

    standardise: bool = False
    smooth: float = 0.0
    grain: float = 0.0
