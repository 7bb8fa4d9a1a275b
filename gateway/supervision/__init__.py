"""Supervision: how recognition is carried out, counted and kept without the person in sight."""
