"""Evidence about people, gathered from every source that may have some."""
