#!/usr/bin/env python3
"""Lints the gateways' OpenAPI documents: the official schema of OpenAPI 3.0, then what a schema cannot say.

Usage: openapi_lint.py [--mutants] FILE...     0 good, 1 findings, 77 the schema or its validator is not installed
--mutants spoils each document in every way that a rule is there for, and fails if the rule says nothing.
"""
import copy
import json
import re
import sys

SCHEMA = "/usr/share/openapi-specification/schemas/v3.0/schema.json"
METHODS = ("get", "put", "post", "delete", "patch")
SEGMENT = re.compile(r"(?:[a-z0-9][a-z0-9.-]*|\{[a-z][a-z0-9_]*\})")


def operations(document):
    for path, item in document.get("paths", {}).items():
        for method in METHODS:
            if method in item:
                yield f"{method} {path}", path, item, item[method]


def nodes(value, where="#"):
    yield where, value
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in pairs:
        yield from nodes(one, f"{where}/{str(name).replace('~', '~0').replace('/', '~1')}")


def resolve(document, value):
    """What a $ref points to; None: nothing."""
    while isinstance(value, dict) and "$ref" in value:
        reference, value = value["$ref"], document
        if not reference.startswith("#/"):
            return None
        for name in reference[2:].split("/"):
            name = name.replace("~1", "/").replace("~0", "~")
            if not isinstance(value, dict) or name not in value:
                return None
            value = value[name]
    return value


def references(document):
    used = set()
    for where, value in nodes(document):
        if isinstance(value, dict) and isinstance(value.get("$ref"), str):
            used.add(value["$ref"])
            if resolve(document, value) is None:
                yield where, f"$ref {value['$ref']} points nowhere"
    for kind, parts in document.get("components", {}).items():
        for name in parts if kind != "securitySchemes" else ():
            if f"#/components/{kind}/{name}" not in used:
                yield f"#/components/{kind}/{name}", "nobody uses it"


def identities(document):
    seen = {}
    for name, _, _, call in operations(document):
        identity = call.get("operationId")
        if not identity:
            yield name, "no operationId"
        elif identity in seen:
            yield name, f"operationId {identity} is also that of {seen[identity]}"
        seen[identity] = name
        if not call.get("summary") and not call.get("description"):
            yield name, "no summary"
    tags = {tag["name"] for tag in document.get("tags", [])}
    for name, _, _, call in operations(document):
        for tag in call.get("tags", []):
            if tag not in tags:
                yield name, f"tag {tag} is not described"


def paths(document):
    seen = {}
    for path in document.get("paths", {}):
        if not all(SEGMENT.fullmatch(segment) for segment in path[1:].split("/")):
            yield path, "not small letters, digits and {parameters}, or ends with a slash"
        shape = re.sub(r"\{[^}]*\}", "{}", path)
        if shape in seen:
            yield path, f"the same addresses as {seen[shape]}"
        seen[shape] = path


def parameters(document):
    for name, path, item, call in operations(document):
        wanted = set(re.findall(r"\{([^}]*)\}", path))
        seen = set()
        for given in item.get("parameters", []) + call.get("parameters", []):
            parameter = resolve(document, given)
            if not parameter:
                continue
            key = (parameter["in"], parameter["name"])
            if key in seen:
                yield name, f"parameter {parameter['name']} twice"
            seen.add(key)
            if parameter["in"] == "path" and parameter["name"] not in wanted:
                yield name, f"the path has no {{{parameter['name']}}}"
        for missing in wanted - {key[1] for key in seen if key[0] == "path"}:
            yield name, f"{{{missing}}} is not described"


def answers(document):
    for name, _, _, call in operations(document):
        statuses = call.get("responses", {})
        if not any(status[0] in "123" for status in statuses):
            yield name, "no answer of success"
        if call.get("requestBody") and "400" not in statuses:
            yield name, "a body can be wrong: no 400"
        for status, given in statuses.items():
            answer = resolve(document, given) or {}
            if status[0] in "45" and "application/problem+json" not in answer.get("content", {}):
                yield name, f"{status} is no application/problem+json"


def security(document):
    schemes = document.get("components", {}).get("securitySchemes", {})
    used = set()
    for name, call in [("#", document)] + [(name, call) for name, _, _, call in operations(document)]:
        for choice in call.get("security", []):
            for scheme in choice:
                used.add(scheme)
                if scheme not in schemes:
                    yield name, f"security scheme {scheme} is not described"
    for scheme in schemes:
        if scheme not in used:
            yield f"#/components/securitySchemes/{scheme}", "nobody uses it"


def schemas(document):
    for where, value in nodes(document):
        if not isinstance(value, dict) or "/example" in where:
            continue
        if value.get("type") == "array" and "items" not in value:
            yield where, "an array of what?"
        if isinstance(value.get("properties"), dict) and isinstance(value.get("required"), list):
            for field in value["required"]:
                if field not in value["properties"]:
                    yield where, f"'{field}' is required and not described"


RULES = (references, identities, paths, parameters, answers, security, schemas)


def lint(document, validator):
    found = [("#/" + "/".join(map(str, wrong.absolute_path)), wrong.message[:200])
             for wrong in validator.iter_errors(document)]
    if found:
        return found  # the rules take its form for granted
    return [finding for rule in RULES for finding in rule(document)]


def first(document, wanted):
    return next(call for _, _, _, call in operations(document) if wanted(call))


def mutants():
    """Name -> how to spoil a good document."""
    def with_body(document):
        return first(document, lambda call: "requestBody" in call)

    def path_of(document):
        return next(path for path in document["paths"] if "{" in path)

    def move(document, new_path):
        old = path_of(document)
        document["paths"][new_path(old)] = document["paths"].pop(old)

    def schema_with(document, key):
        return next(one for one in document["components"]["schemas"].values() if key in one)

    return {
        "no version": lambda d: d.pop("openapi"),
        "unknown field": lambda d: d.update(more=1),
        "unknown type": lambda d: schema_with(d, "properties").update(type="objekt"),
        "answer without description": lambda d: first(d, bool)["responses"].update({"200": {}}),
        "dangling $ref": lambda d: first(d, bool)["responses"].update({"418": {"$ref": "#/components/responses/Nowhere"}}),
        "unused schema": lambda d: d["components"]["schemas"].update(Nobody={"type": "string"}),
        "operationId twice": lambda d: [call.update(operationId="same") for _, _, _, call in operations(d)],
        "no operationId": lambda d: first(d, bool).pop("operationId"),
        "no summary": lambda d: [first(d, bool).pop(word, None) for word in ("summary", "description")],
        "unknown tag": lambda d: first(d, bool).update(tags=["nowhere"]),
        "slash at the end": lambda d: move(d, lambda path: path + "/"),
        "other parameter in the path": lambda d: move(d, lambda path: re.sub(r"\{[^}]*\}", "{other}", path, count=1)),
        "same addresses": lambda d: d["paths"].update({path_of(d).replace("}", "_x}", 1): d["paths"][path_of(d)]}),
        "only failures": lambda d: [first(d, bool)["responses"].pop(s) for s in list(first(d, bool)["responses"]) if s[0] in "123"],
        "body without 400": lambda d: with_body(d)["responses"].pop("400"),
        "failure that is no problem": lambda d: first(d, bool)["responses"].update({"500": {"description": "oh"}}),
        "unknown scheme": lambda d: d.update(security=[{"nowhere": []}]),
        "unused scheme": lambda d: d["components"]["securitySchemes"].update(nobody={"type": "http", "scheme": "basic"}),
        "array of nothing": lambda d: d["components"]["schemas"].update(
            {next(iter(d["components"]["schemas"])): {"type": "array"}}),
        "required and not described": lambda d: schema_with(d, "required")["required"].append("nowhere"),
    }


def main():
    try:
        import jsonschema
        with open(SCHEMA, encoding="utf-8") as file:
            validator = jsonschema.Draft4Validator(json.load(file))
    except (ImportError, OSError) as missing:
        print(f"left out: {missing}; install python3-jsonschema and openapi-specification")
        return 77
    files = [word for word in sys.argv[1:] if word != "--mutants"]
    findings = 0
    for path in files:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        for where, what in lint(document, validator):
            findings += 1
            print(f"{path}: {where}: {what}")
        for name, spoil in mutants().items() if "--mutants" in sys.argv else ():
            spoiled = copy.deepcopy(document)
            spoil(spoiled)
            if not lint(spoiled, validator):
                findings += 1
                print(f"{path}: nobody notices: {name}")
    print(f"{len(files)} documents, {findings} findings")
    return 1 if findings or not files else 0


if __name__ == "__main__":
    sys.exit(main())
