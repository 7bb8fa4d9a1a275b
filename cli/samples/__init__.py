"""Sample people and laboratory files, so that a mesh that has just started has something to show. All invented."""
