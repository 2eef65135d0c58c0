"""An opinion on a film: the bundle that holds a model, the reader that asks it, the reports.

Nothing is imported here, so that `firstread.read.bundle` costs no onnxruntime.
"""
