"""The questions of health-code clients, whatever the transport."""
