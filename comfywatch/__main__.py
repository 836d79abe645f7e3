"""``python -m comfywatch``."""

from comfywatch.cli import main

if __name__ == "__main__":
    main()
