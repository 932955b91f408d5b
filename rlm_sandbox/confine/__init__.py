"""The wall: one kernel mechanism a file. Imports: stdlib only (ctypes for what `os` lacks)."""
