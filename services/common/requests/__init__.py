"""What a field of a request may hold, and the reason it is refused with: each said once, for every service."""
