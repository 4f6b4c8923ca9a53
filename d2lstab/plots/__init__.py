"""Pictures of results: each function draws a result on the Axes it is given."""
