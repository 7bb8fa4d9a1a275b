"""Rules for the fields of requests: each says once, for every service, what a field may hold and why it is refused."""
