"""What runs on the far side of the wall: the zygote, its inits, and the process that executes code.

Nothing here is trusted by the controller once code has run. Imports: stdlib and msgspec only.
"""
