"""A competition of two pictures, and the submission that names both correctly."""

from __future__ import annotations

SLUG = "dogs-vs-cats-redux-kernels-edition"
SURE = b"id,label\n1,0.9\n2,0.1\n"
