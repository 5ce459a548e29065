"""The life of one request, read in order: `exchange`, and what decides for it.

`headers` says what each side is sent, `filters` what is done before a request is sent on or in place of that,
`mirroring` which mirrors get a shadow request, `retrying` whether another attempt follows, `tunnel` how an upgraded
connection goes on.
"""
