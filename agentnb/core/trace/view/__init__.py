"""Views of a trace: the waterfall as HTML and as text, a form for tests, and other programs' files.

`Layout` says which rows there are and where their bars begin; `html`, `text` and `plain` write
them down. `chrome` and `frame` give every span, merged or not.
"""
