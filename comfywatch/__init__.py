"""Drop a ComfyUI workflow into a folder; get the pictures back in that folder."""

__version__ = "0.1.0"
