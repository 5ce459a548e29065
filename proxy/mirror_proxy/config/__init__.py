"""Configuration: read documents and flags into a frozen `model.Config`, or report every problem at once.

`loader` is the entry point. `document` and `flags` (through `overlay`) make nodes (`node`); `settings` and the dialects
(`istio`, `gateway_api`, `kubernetes`) read them by their tables (`schema`) into `rules` and `service`; `registry` and
`routes` make the model of those. Workers need `model` only, so this package imports nothing by itself.
"""
