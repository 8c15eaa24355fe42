"""Datasets that ship with the package.

A dataset's target is a function `read(source, *, split=None)` that yields records in order, and in
place of one that cannot be used a `RecordError` which names file, line and field. The media paths
of the records are relative to the folder `source`, or to the folder that holds it if it is a file.
"""
