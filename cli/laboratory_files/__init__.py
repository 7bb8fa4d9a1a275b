"""Result files as laboratories send them, turned into rows that can be submitted or refused. Pure: no wire, no clock.

docs/laboratory-files.md says what a file may look like and what becomes of each kind of wrong row.
"""
