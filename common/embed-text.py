#!/usr/bin/env python3
"""Turns text files into a C header of string constants: embed-text.py OUTPUT NAME=FILE..."""
import sys

with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write("/* Made by common/embed-text.py. */\n#pragma once\n\n")
    for pair in sys.argv[2:]:
        name, path = pair.split("=", 1)
        out.write(f"static const char {name}[] =\n")
        with open(path, encoding="utf-8") as text:
            for line in text:
                line = line.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"')
                out.write(f'    "{line}\\n"\n')
        out.write("    ;\n\n")
