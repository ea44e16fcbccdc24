"""Components with one fault each, to see that the conformance kit finds it.

Each module has a table PLANTS: what is wrong, the law that names it, the component, and what is declared.
"""
