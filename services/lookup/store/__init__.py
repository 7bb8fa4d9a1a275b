"""Where holders' links and switches are kept."""
