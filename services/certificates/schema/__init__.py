"""The contents of a certificate: the EU DCC schema 1.3, as types."""
