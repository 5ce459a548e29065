"""Texts: markup compared by its structure, so that one change does not hide another.

`parser` reads HTML and XML into a tree of `element`s, and `markup_differ` walks two trees at once; `place` names the
places where they differ, and `link` the parts of an address. `alignment` finds what belongs together on the two
sides; `template` takes numbers, times and tokens out of a text.
"""
