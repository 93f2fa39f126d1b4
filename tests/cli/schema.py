# SPDX-License-Identifier: MIT
"""Whether what --json says is as docs/json-schema.json describes it."""
import json
import re

with open("docs/json-schema.json", encoding="utf-8") as schema_file:
    SCHEMA = json.load(schema_file)


def fits(value, schema):
    """Whether VALUE is as SCHEMA says, for what ours uses of JSON Schema."""
    kinds = {"object": dict, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
    if "type" in schema:
        if not isinstance(value, kinds[schema["type"]]):
            return False
        if schema["type"] != "boolean" and isinstance(value, bool):
            return False
    if "const" in schema and value != schema["const"] or "enum" in schema and \
            value not in schema["enum"]:
        return False
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if not schema.get("minimum", value) <= value <= schema.get("maximum", value) \
            if isinstance(value, (int, float)) else False:
        return False
    if isinstance(value, dict):
        if any(name not in value for name in schema.get("required", [])):
            return False
        if not all(fits(value[name], part) for name, part in schema.get("properties", {}).items()
                   if name in value):
            return False
        for form, part in schema.get("patternProperties", {}).items():
            if not all(fits(value[name], part) for name in value if re.search(form, name)):
                return False
    if "oneOf" in schema:
        return sum(fits(value, part) for part in schema["oneOf"]) == 1
    return True


def check(event):
    """EVENT fits the schema and has no member that it does not name."""
    assert fits(event, SCHEMA), event
    part = next(part for part in SCHEMA["oneOf"] if part["properties"]["ev"]["const"] == event["ev"])
    for name in event:
        known = name in SCHEMA["properties"] or name in part["properties"] or \
            any(re.search(form, name) for form in part.get("patternProperties", {}))
        assert known, f"{name} is not in the schema: {event}"
    return event
