"""Push subscriptions over HTTP: what is sent, what is answered, and the calls by path."""
