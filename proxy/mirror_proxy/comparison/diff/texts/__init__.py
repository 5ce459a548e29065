"""Texts: markup compared by its structure and other text by its lines, so that one change does not hide another.

`parser` reads HTML and XML into a tree of `element`s, and `markup_differ` walks two trees at once; `place` names the
places where they differ, and `link` the parts of an address. `lines` compares all other text. Both find with
`alignment` what belongs together on the two sides; `template` takes numbers, times and tokens out of a text. What they
find goes through `text_findings`, which redacts it. `records` reads JSON lines and server-sent events, which are then
compared as JSON.
"""
