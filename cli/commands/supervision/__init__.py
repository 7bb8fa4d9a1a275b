"""`hutong supervision`: how recognition is carried out, and what of it is published."""
