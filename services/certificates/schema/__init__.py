"""What a certificate says: the EU DCC schema 1.3, as types."""
