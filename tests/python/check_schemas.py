#!/usr/bin/env python3
"""Checks schemas/ with full implementations: every JSON schema is one and every example fits its own; the
XML schema takes every packet of tests/documents/strict and refuses what the strict form refuses.

    python3 check_schemas.py
"""

import json
import pathlib
import sys

import jsonschema
from lxml import etree

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "schemas"
PACKETS = ROOT / "tests" / "documents"
NO_SCHEMA = {"codes.json"}
# Of what the strict form refuses, that which an XML schema can see.
NOT_STRICT = [
    "refusals/attachment-not-base64",
    "refusals/envelope-missing-element",
    "refusals/recipient-missing",
    "refusals/status-code-unknown",
    "warnings/agency-code-spelling",
    "warnings/business-spelling",
    "warnings/content-id-form",
    "warnings/date-form",
    "warnings/empty-element",
    "warnings/letter-case",
    "warnings/manifest-shape",
    "warnings/missing-value",
    "warnings/namespace-missing",
    "warnings/over-long",
    "warnings/root-missing",
    "warnings/status-code-short",
]


def main() -> int:
    check_json()
    check_xml()
    return 0


def check_json():
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
    print(f"{len(validators)} JSON schemas, {len(examples)} examples: all fit")


def check_xml():
    schema = etree.XMLSchema(etree.parse(SCHEMAS / "edxml-strict.xsd"))
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    strict = sorted((PACKETS / "strict").glob("*.edxml"))
    if not strict:
        sys.exit("no packets in tests/documents/strict")
    for path in strict:
        if not schema.validate(etree.parse(path, parser)):
            sys.exit(f"{path.name} is strict and the schema refuses it: {schema.error_log[0]}")
    for name in NOT_STRICT:
        if schema.validate(etree.parse(PACKETS / f"{name}.edxml", parser)):
            sys.exit(f"{name} is not strict and the schema takes it")
    print(f"XML schema: {len(strict)} strict packets taken, {len(NOT_STRICT)} others refused")


if __name__ == "__main__":
    sys.exit(main())
