"""Networks that Python packages ship, from a folder of wheels; with what their publishers say of them."""
