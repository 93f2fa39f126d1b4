#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Print, as C, what the torture holds the library to.

    tests/torture/tables.py >tables.h

From include/tenon/*.h: the kinds of errors that each call's `Errors:` names, "as tn_read"
and "those of tn_resolve" followed.  From errnos.txt: which errno goes where.
"""
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PIECE = re.compile(r"/\*(.*?)\*/|^TN_API\b[^;{]*?\b(tn_\w+)\s*\(", re.S | re.M)
NAMES = re.compile(r"^[\s*]*((?:tn_\w+(?:,\s*)?)+)\s+--\s")
OTHERS = re.compile(r"\b(?:as|those of)\s+(tn_\w+)")
NOT = re.compile(r"\bbut for (TN_\w+)")


def kinds_known():
    with open(os.path.join(HERE, "../../include/tenon/err.h"), encoding="utf-8") as file:
        return set(re.findall(r"^\s+X\((\w+),\s*\d+,", file.read(), re.M))


def errors_of(comment):
    """The text of all the `Errors` parts of COMMENT."""
    at = re.search(r"\bErrors\b[^:.;\n]*:", comment)
    return re.sub(r"\n\s*\*", " ", comment[at.end():]) if at else None


def read_contracts():
    """Call -> (kinds, calls whose kinds it has too, kinds it has not)."""
    kinds, contracts = kinds_known(), {}
    for path in sorted(glob.glob(os.path.join(HERE, "../../include/tenon/*.h"))):
        comment = ""
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for match in PIECE.finditer(text):
            if match.group(1) is not None:
                comment = match.group(1)
                continue
            names = NAMES.match(comment)
            errors = errors_of(comment)
            if errors is None or not names or match.group(2) not in names.group(1):
                continue
            named = {word[3:] for word in re.findall(r"\bTN_[A-Z_]+\b", errors)} & kinds
            without = {word[3:] for word in NOT.findall(errors)}
            contracts[match.group(2)] = (named, OTHERS.findall(errors), without,
                                         "those of the tasks" in errors)
    return contracts


def resolve(contracts, call, depth=0):
    named, others, without, everything = contracts[call]
    found = set(kinds_known()) if everything else set(named)
    for other in others:
        if other in contracts and depth < 5:
            found |= resolve(contracts, other, depth + 1)
    return found - without


def main():
    print("/* From include/tenon and tests/torture/errnos.txt, by tests/torture/tables.py. */")
    contracts = read_contracts()
    print("static const struct contract contracts[] = {")
    for call in sorted(call for call in contracts if resolve(contracts, call)):
        kinds = " | ".join(f"1u << TN_{kind}" for kind in sorted(resolve(contracts, call)))
        print(f'    {{ "{call}", {kinds or 0} }},')
    print("};\n\nstatic const struct pair pairs[] = {")
    listed = kept = 0
    with open(os.path.join(HERE, "errnos.txt"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("#"):
                continue
            call, errno, _, seam, where = line.split()[:5]
            listed += 1
            kept += where != "-"
            if where != "-":
                print(f'    {{ FAULT_{seam}, {errno}, "{call}", "{errno}", '
                      f'{"true" if where == "plain" else "false"} }},')
    print("};")
    print(f"\n#define PAIRS_LISTED {listed}\n#define PAIRS_LEFT_OUT {listed - kept}")


if __name__ == "__main__":
    sys.exit(main())
