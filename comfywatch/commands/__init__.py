"""The commands, one module each; ``comfywatch.cli`` imports the one that is used."""
