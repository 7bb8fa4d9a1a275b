"""The services of the verdict service, as plain objects."""
