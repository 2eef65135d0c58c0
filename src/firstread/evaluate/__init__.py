"""The honest judge: metrics, intervals, thresholds, comparisons and the report."""
