"""Web Push: tells people's devices that a result has arrived, or that a code is about to end."""
