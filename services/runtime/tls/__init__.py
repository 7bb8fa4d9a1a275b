"""Mutual TLS between services: who a certificate names, and certificates that change while calls go on."""
