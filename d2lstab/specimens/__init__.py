"""What we experiment on: networks, cells, toy surfaces, data."""
