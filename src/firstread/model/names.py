"""What there is, by name; known without torch, so that a wrong name is an error at once."""

ARCHITECTURES = ("cnn", "vgg19", "mobilenet_v2")
MIN_SIZE = 32
"""Pixels; VGG19 and MobileNetV2 halve the side five times."""
