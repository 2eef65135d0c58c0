"""Architectures and weights. Everything here needs torch (the extra `train`)."""
