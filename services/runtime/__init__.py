"""The kit of every server: settings, calls, channels, servers, errors on the wire, health, telemetry."""
