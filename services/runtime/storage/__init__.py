"""What every store needs, whatever it keeps."""
