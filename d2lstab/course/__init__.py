"""What a notebook needs: start, compare, guess, exercises, claims."""
