"""An RLM behind the chat API that programs already speak: `rlm serve`.

A request on its way: `app` (routes) -> `exchange` (answered, one way or another) -> `chat` ->
`service` (who asks, by `keys`, and is there room) -> `connection` (bytes, within limits) ->
`request` (what is asked) -> `plan` (by which way, within which limits) -> `lane` (a turn) ->
`straight` or `recursive` (the answer) -> `reply` (how it is said, whole or streamed). `account`
counts what keys may use, `metrics` what happens, `problem` is all that can go wrong. starlette is
imported by `app` alone, uvicorn by `server` alone.
"""
