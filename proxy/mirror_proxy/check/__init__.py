"""Advice: describe a configuration, and warn of risks, before anything is served.

`words` puts parts of the model into words, `outline` a whole configuration into a table; `checklist` finds what files
cannot know: whether v1 and v2 accept connections, at addresses of their own, and are reached through the proxy only.
"""
