"""Decodes header blocks of somebody else's encoder by the `hpack` of PyPI and says which do not say what they should.

Usage: hpack_reader.py FILE      JSON: a list of stories, each {"name", "cases": [{"size": table size or null, "block": hex, "fields": [[name, value]]}]}

Prints a line for each case that differs, and last `read N of M`.
"""

import json
import sys

from hpack import Decoder

read = total = 0
for story in json.load(open(sys.argv[1])):
    decoder = Decoder(max_header_list_size=2**30)
    for number, case in enumerate(story["cases"]):
        total += 1
        if case["size"] is not None:
            decoder.max_allowed_table_size = case["size"]
        try:
            found = [list(field) for field in decoder.decode(bytes.fromhex(case["block"]))]
        except Exception as failure:
            # What it has not understood it cannot go on from.
            print(f"{story['name']}#{number}: {type(failure).__name__}: {failure}")
            total += len(story["cases"]) - number - 1
            break
        if found == case["fields"]:
            read += 1
        else:
            print(f"{story['name']}#{number}: {found} instead of {case['fields']}")
print(f"read {read} of {total}")
