"""The commands of `attune` and `python -m serving_export`; what only one of them needs, it imports in its body.

A command is a function with click's options, decorated by `answers` (see `training.command_line`), in the module of its
kind, and a name in `COMMANDS` of `serving_export.__main__`.
"""
