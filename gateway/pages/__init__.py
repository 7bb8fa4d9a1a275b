"""Pages for people, and the API's description for machines."""
