"""How parameters move: update rules, schedules, clipping, descent, training."""
