"""A certificate on paper: one page of A4 in Chinese and English, with its QR code; all of it is in the file."""
