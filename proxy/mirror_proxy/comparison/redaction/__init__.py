"""Redaction: find secrets in any text, by the names before them, by their form, and by where they stand.

A `name` marks its value as a secret, whatever the case and the separators of its words; a name may itself be an
`identifier` of one user or request.

Nothing here raises, and the time it takes is linear in the length of the text.
"""
