"""The audit trail: every call about a person as a line that cannot be changed, cut or reordered unseen."""
