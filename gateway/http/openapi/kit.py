"""The parts schemas are made of."""

# a text in two languages is one text

from gateway.http.views import EnumNames, Json


def ref(name: str) -> Json:
    """A reference to a schema of this document."""
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(schema: Json) -> Json:
    """The same, or null."""
    if "$ref" in schema:
        return {"oneOf": [schema, {"type": "null"}]}
    more = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **more}


def string(description: str, **more: object) -> Json:
    """A text."""
    return {"type": "string", "description": description, **more}


def names(enum: EnumNames, description: str) -> Json:
    """One of an enum's names."""
    return string(description, enum=list(enum.values))


def items(schema: Json, description: str, **more: object) -> Json:
    """A list."""
    return {"type": "array", "items": schema, "description": description, **more}


def answer(description: str, **properties: Json) -> Json:
    """An object that is answered: every property is there."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def question(description: str, required: list[str], **properties: Json) -> Json:
    """An object that is sent: no property but these."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def instant(description: str) -> Json:
    """An instant."""
    return string(f"{description} RFC 3339, +08:00.", format="date-time", examples=["2022-08-05T13:20:00+08:00"])


REGION_CODE = string(
    "省级行政区划代码 GB/T 2260. Province-level code.", pattern="^[0-9]{6}$", examples=["110000", "430000"]
)
ASKED_AT = string(
    "判定的时刻，须带时区偏移；缺省为现在，且只有现在的结果会缓存。"
    " The instant judged, with an offset; now when absent, and only answers for now are cached.",
    format="date-time",
    examples=["2022-08-05T13:20:00+08:00"],
)
KNOWN_AT = string(
    "按当时所知判定，须带时区偏移；缺省为现在。与 at 同填即得当时给出的判定，从不缓存。"
    " As known then, with an offset; now when absent. With at it gives what was given then; never cached.",
    format="date-time",
    examples=["2022-08-05T13:20:00+08:00"],
)
REQUEST_ID = string(
    "调用方选定的 UUID，重试时不变。 A UUID chosen by the caller, the same in every retry.", format="uuid"
)
DOCUMENT = ref("Document")
