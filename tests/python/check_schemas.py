#!/usr/bin/env python3
"""Checks schemas/ with a full JSON Schema implementation: every schema is one, every example fits its own.

    python3 check_schemas.py
"""

import json
import pathlib
import sys

import jsonschema

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
NO_SCHEMA = {"codes.json"}


def main() -> int:
    validators = {}
    for path in sorted(SCHEMAS.glob("*.json")):
        if path.name in NO_SCHEMA:
            continue
        schema = json.loads(path.read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        checker = jsonschema.FormatChecker(["uuid"])
        validators[path.stem] = jsonschema.Draft202012Validator(schema, format_checker=checker)
    examples = sorted((SCHEMAS / "examples").glob("*.json"))
    used = set()
    for path in examples:
        # receipt-document.json is an example of receipt.json.
        name = path.stem.split("-")[0]
        validators[name].validate(json.loads(path.read_text()))
        used.add(name)
    unused = set(validators) - used
    if unused:
        sys.exit(f"schemas without an example: {sorted(unused)}")
    print(f"{len(validators)} schemas, {len(examples)} examples: all fit")
    return 0


if __name__ == "__main__":
    sys.exit(main())
