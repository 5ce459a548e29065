"""The config room: documents and flags in, a frozen `model.Config` out, or every problem at once.

Walk: `document` and `flags` make nodes (`node`), dialects (`settings`, `istio`) read them by their tables
(`schema`), `routes` and `validate` put the model together, `loader` is the door. Only `model` is needed by
workers, so this package imports nothing by itself.
"""
