"""Records: one region's test records, its laboratories and its change feed; for the nation, those of all it follows."""
