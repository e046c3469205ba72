"""The trainer's commands, one file each; listing the folder finds them.

Such a file has a docstring whose first line is the command's help, ``add(parser)``, which names its
flags and imports nothing slow, and ``run(arguments) -> exit code``.
"""
