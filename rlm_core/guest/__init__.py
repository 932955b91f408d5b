"""What model-written code finds in its session.

These files are run inside the worker, by `rlm_core.prelude`, under the names that they have here.
They import each other, the files of this package that need nothing (`context`, `jsonish`,
`short_answers`, `sketches`) and the standard library. They are loaded with every session, so they
make no dataclasses: those are compiled as they are loaded.
"""
