"""What every server shares: settings, calls, channels, servers, errors on the wire, health, telemetry."""
