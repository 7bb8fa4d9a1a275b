"""Stores of holders' links and switches."""
