"""What can be set: each setting declared once, with type, default, help and bounds."""
