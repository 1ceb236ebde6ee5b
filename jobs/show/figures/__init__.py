"""Figures: tidy tables in, panels of marks out; pure. One figure a file; draw.py makes files of them."""
