"""Advice: what a configuration means and whether it is wise, told to people before anything is served.

`words` says the model's parts in words, `outline` puts a whole configuration in a table, `checklist` looks at
what the files cannot know: whether v1 and v2 are there, and apart from each other (`reach`).
"""
