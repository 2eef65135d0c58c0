"""Architectures and weights. All but their names needs torch (the extra `train`)."""
