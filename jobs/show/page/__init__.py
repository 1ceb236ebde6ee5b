"""A page: sections of text, figures and tables as one HTML file that asks the network for nothing."""
