"""Redaction: find secrets in any text, by the names before them, by their form, and by where they stand.

The walk of a text (`text`): its escapes are read level by level (`layer`), and on each level every finder yields the
spans that are hidden (`span`). Most go by a `name` that marks its value as a secret, in one syntax each: `named`
(`password=...`, `"token": ...`), `pair` (`{"name": "Cookie", "value": ...}`), `markup`, `block` (YAML), `table` (CSV),
`part` (multipart) and `address`; `value` knows where a value ends. `shape` and `card` go by the form of the secret
itself. A name may be an `identifier` of one user or request, and of a `cookie` only the name is shown.

Nothing here raises, and the time it takes is linear in the length of the text.
"""
