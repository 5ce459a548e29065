"""The page at the admin address: how the proxy stands, live, with what steers it, and what differed.

`live` looks at the proxy once a second while somebody looks at the page, whoever and however many they are;
`panels` makes HTML of what it saw; `handlers` answers browsers. What stands on a panel is made in the module called
after it, from counts alone; templates/ has the words, static/ the style and the script. There is no build step and
nothing comes from another host.

All but `live` is imported when somebody first asks for the page: a proxy that nobody looks at has no templates.
"""
