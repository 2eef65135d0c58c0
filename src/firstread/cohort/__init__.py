"""Many films: sources, tables, patient-safe splits, audit and the decode-once cache."""
