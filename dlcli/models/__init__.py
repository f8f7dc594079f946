"""Networks: the table of backbones, their weights, cutting them, what runs them."""
