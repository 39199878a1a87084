"""Variants and the networks that are built from them."""
