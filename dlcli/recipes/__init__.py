"""One file per recipe. The file's name is the recipe's name; see `dlcli/recipe.py`."""
