#!/usr/bin/python3
"""Do the schemas and the decoder agree?  Every file of the corpus is judged by its schema; the
decoder's verdict is whether good/ or bad/NAME.txt has a line for it.  Where the two differ, the
file must stand in schema-cannot-say.txt, and nothing else may."""
import json
import pathlib
import sys

import jsonschema

here = pathlib.Path(__file__).resolve().parent
schemas = here.parent.parent / "schema"


def validator(name, part=None):
    schema = json.loads((schemas / name).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    if part:
        schema = {"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]}
    return jsonschema.Draft202012Validator(schema)


VALIDATORS = {
    "ssot.json": validator("ssot.schema.json"),
    "slots.json": validator("slots.schema.json"),
    "slots": validator("slots.schema.json", "single"),
}


def refuse_constant(name):
    raise ValueError(name)


def valid_by_schema(case, path):
    """A file that is no JSON is valid by no schema."""
    try:
        value = json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=refuse_constant)
    except ValueError:
        return False
    single = path.parent.name == "slots" and path.parent.parent == case
    return VALIDATORS["slots" if single else path.name].is_valid(value)


def valid_by_decoder(kind, case, file):
    if kind == "good":
        return True
    lines = (case.parent / f"{case.name}.txt").read_text().splitlines()
    return not any(line.startswith(f"{file}: ") for line in lines)


def listed():
    """The files that are allowed to differ, each with its reason."""
    lines = (here / "schema-cannot-say.txt").read_text().splitlines()
    pairs = [line.split(": ", 1) for line in lines if line and not line.startswith("#")]
    for pair in pairs:
        if len(pair) != 2 or not pair[1].strip():
            sys.exit(f"schema-cannot-say.txt: no reason given: {pair[0]}")
    return dict(pairs)


def main():
    sys.setrecursionlimit(20000)  # for the file that is nested 3,000 deep
    allowed = listed()
    passed, failed = 0, 0
    for path in sorted(here.glob("*/*/**/*.json")):
        name = path.relative_to(here).as_posix()
        kind, case = name.split("/")[:2]
        case = here / kind / case
        schema = valid_by_schema(case, path)
        decoder = valid_by_decoder(kind, case, path.relative_to(case).as_posix())
        differ = schema != decoder
        if differ == (allowed.pop(name, None) is not None):
            passed += 1
            continue
        failed += 1
        words = {True: "good", False: "wrong"}
        print(f"{name}: the schema says {words[schema]}, the decoder {words[decoder]}"
              + ("" if differ else ", and schema-cannot-say.txt says that they differ"))
    for name in allowed:
        failed += 1
        print(f"{name}: stands in schema-cannot-say.txt and is not there")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
