"""Recipes, augmentation, the fit and tuning. Everything here needs the extra `train`."""
