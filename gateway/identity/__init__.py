"""Identity of whoever asks the gateway: bearer tokens, their issuers, and what tokens say about people and venues."""
