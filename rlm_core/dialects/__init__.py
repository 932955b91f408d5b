"""How models write: fences, finals, wrappers of tool calls, and Python with or without its dress.

Each file reads one kind of thing out of a text; `rlm_core.reply` decides what the reply means.
"""
