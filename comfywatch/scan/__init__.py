"""What a ComfyUI folder holds, read from its files alone: nothing of it is imported or run."""
