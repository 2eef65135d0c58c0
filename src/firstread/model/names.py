"""What there is, by name; known without torch, so that a wrong name is an error at once."""

ARCHITECTURES = ("cnn", "vgg19", "mobilenet_v2", "resnet10")
MIN_SIZE = {"cnn": 32, "vgg19": 32, "mobilenet_v2": 32, "resnet10": 16}
"""Pixels. Most halve the side five times, a ResNet for small films twice."""
