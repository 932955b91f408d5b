"""An RLM behind the chat API that programs already speak: `rlm serve`.

A request on its way: `app` (routes) -> `keys` (who asks) -> `door` (is there room) -> `body`
(bytes, within limits) -> `request` (what is asked) -> `plan` (by which way, within which limits)
-> `lane` (a turn) -> `straight` or `recursive` (the answer) -> `reply` or `stream` (how it is
said). `account` counts what keys may use, `metrics` what happens, `problem` is all that can go
wrong. starlette is imported by `app` alone, uvicorn by `server` alone.
"""
