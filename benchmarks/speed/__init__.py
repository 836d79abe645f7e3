"""How fast it is, how much it holds, and what that costs: each figure beside the floor of the same run."""
