"""What a health-code client may ask, whatever the transport."""
