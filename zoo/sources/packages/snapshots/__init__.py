"""Catalogs of public packages, frozen: what each package says about its pretrained weights, one file a version.

A scan reads these files and never imports the packages; make.py makes a new one.
"""
