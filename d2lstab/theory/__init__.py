"""What the mathematics predicts: numbers to numbers; it knows no network."""
