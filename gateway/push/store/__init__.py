"""The store of push subscriptions, in each engine."""
