"""The page at the admin address: live figures, controls, and differences.

`live` reads the proxy's state (`data`) once a second for all open pages together, and not at all while no page is open.
`handlers` renders it: each panel has a module of its name, which computes the panel from counts alone. templates/ holds
the HTML, static/ the style and the script. There is no build step, and nothing is loaded from another host.

The first request for the page imports every module but `live`: a proxy whose page is never opened loads no templates.
"""
