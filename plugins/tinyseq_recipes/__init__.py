"""Recipes: each a whole experiment on one page, run by `tinyseq run NAME`. They use plugins as you would."""
