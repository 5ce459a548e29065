"""The mirror: `policy` decides, `request` writes the shadow's head, `shadow` sends and listens.

Nothing here is awaited by, pauses or fails the primary's path. Every step may say no, and every no is an
outcome that is counted.
"""
