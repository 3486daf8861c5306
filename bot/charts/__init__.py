"""Pictures, drawn by matplotlib in a process of their own: `python -m bot.charts` reads one as JSON and writes a PNG.

A process can be ended when its time is up, keeps a click's thread from waiting, and gives its memory back.
"""
