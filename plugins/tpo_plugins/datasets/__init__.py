"""Datasets that ship with the package, each read as it is released.

A dataset's target is a function `read(source, *, split=None, quirks=None)` that yields records in
order, and in place of a row that cannot be used a `RecordError` which names file, line or key, and
field. The media paths of the records are relative to the folder `source`, or to the folder that
holds it if it is a file. A missing annotation file is an error at once; a missing media file is
not: its record is quarantined where media are decoded. `quirks` counts what was odd and was dealt
with, see `tpo_plugins.datasets.quirks`.

A reader is one file: `files` finds what it reads, `rows` and `text` give rows that know where they
stand, `grouping` makes the rows about one media item branches of one record, `templates` gives
labels without a conversation one.
"""
