"""Networks: the table of backbones, their weights, cuts, and the engines that run them."""
