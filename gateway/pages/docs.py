"""The API's documentation as a page, rendered from the OpenAPI document. No script, no outside asset."""

import json
from collections.abc import Iterator
from html import escape

from gateway.http.openapi.schemas import Json

_STYLE = """
:root{--ink:#1b2a2f;--soft:#5b6b70;--line:#d9e1e3;--paper:#fff;--tint:#f4f7f7;--accent:#0b7a5b;--bad:#a8323a}
@media(prefers-color-scheme:dark){:root{--ink:#e3eaea;--soft:#93a3a7;--line:#2c3a3f;--paper:#11191c;--tint:#182327;
--accent:#4fc39d;--bad:#ee8a90}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.65 system-ui,"PingFang SC","Noto Sans CJK SC",
"WenQuanYi Zen Hei",sans-serif}
main,header{max-width:60rem;margin:0 auto;padding:0 1.2rem}
header{padding-top:2.4rem}h1{font-size:1.7rem;margin:0 0 .4rem}h2{margin:3rem 0 .2rem;font-size:1.25rem}
h3{margin:1.6rem 0 .4rem;font-size:1rem}.soft{color:var(--soft)}
nav ul{columns:2;padding:0;list-style:none}nav li{padding:.15rem 0;break-inside:avoid}
@media(max-width:40rem){nav ul{columns:1}}
a{color:var(--accent)}code,pre{font:.86rem/1.55 ui-monospace,"SFMono-Regular",Menlo,Consolas,monospace}
pre{background:var(--tint);border:1px solid var(--line);border-radius:.4rem;padding:.8rem 1rem;overflow-x:auto}
article{border-top:1px solid var(--line);padding-top:.2rem;margin-top:2rem}
.path{display:flex;gap:.6rem;align-items:baseline;flex-wrap:wrap}.verb{color:var(--paper);background:var(--accent);
border-radius:.25rem;padding:0 .5rem;font-size:.8rem;font-weight:600}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;
padding:.4rem .8rem .4rem 0;border-bottom:1px solid var(--line)}th{font-weight:600;color:var(--soft);font-size:.85rem}
td:first-child{white-space:nowrap}.need{color:var(--bad)}footer{margin:3rem auto;max-width:60rem;padding:0 1.2rem}
"""


def page(document: Json) -> str:
    """The page."""
    info = document["info"]
    body = "".join([*_operations(document), *_schemas(document)])
    links = "".join(
        f'<li><a href="#{escape(operation["operationId"])}">{escape(operation["summary"])}</a></li>'
        for _, _, operation in _each(document)
    )
    lead = "".join(f"<p>{escape(text)}</p>" for text in info["description"].split("\n\n"))
    return (
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(info['title'])} · 接口文档</title><style>{_STYLE}</style></head><body>"
        f'<header><h1>{escape(info["title"])}</h1><p class="soft">{escape(info["summary"])}</p>{lead}'
        '<p><a href="/">亮码页 The page</a> · <a href="/openapi.json">openapi.json</a></p>'
        f'<nav aria-label="接口"><ul>{links}</ul></nav></header><main>{body}</main>'
        '<footer class="soft">错误一律为 application/problem+json，reason 稳定可依。'
        " Every error is application/problem+json with a stable reason.</footer></body></html>"
    )


def _each(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _operations(document: Json) -> Iterator[str]:
    for path, method, operation in _each(document):
        yield (
            f'<article id="{escape(operation["operationId"])}"><h2>{escape(operation["summary"])}</h2>'
            f'<p class="path"><span class="verb">{method.upper()}</span><code>{escape(path)}</code></p>'
            f"<p>{escape(operation['description'])}</p>"
        )
        asked = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if asked:
            yield "<h3>请求 Request</h3>" + _fields(document, asked["schema"])
            yield f"<pre>{escape(_curl(path, asked['example']))}</pre>"
        for status, response in operation["responses"].items():
            if status != "200":
                continue
            content = response["content"].get("application/json", {})
            if "schema" in content:
                yield f"<h3>应答 Answer</h3><p>{_type(content['schema'])}</p>"
            if "example" in content:
                yield f"<pre>{escape(json.dumps(content['example'], ensure_ascii=False, indent=2))}</pre>"
        yield "<h3>错误 Errors</h3><div class='scroll'><table>"
        for status, response in operation["responses"].items():
            if status != "200":
                yield f"<tr><td><code>{status}</code></td><td>{escape(response['description'])}</td></tr>"
        yield "</table></div></article>"


def _curl(path: str, example: Json) -> str:
    body = json.dumps(example, ensure_ascii=False)
    return f"curl -s http://127.0.0.1:8080{path} -H 'content-type: application/json' -d '{body}'"


def _schemas(document: Json) -> Iterator[str]:
    yield "<h2>数据结构 Schemas</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield f'<article id="schema-{escape(name)}"><h3>{escape(name)}</h3><p>{escape(schema["description"])}</p>'
        yield _fields(document, {"$ref": f"#/components/schemas/{name}"}) + "</article>"


def _fields(document: Json, schema: Json) -> str:
    name = schema["$ref"].rpartition("/")[2]
    resolved = document["components"]["schemas"][name]
    required = resolved.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{' <b class=need>*</b>' if field in required else ''}</td>"
        f"<td>{_type(one)}</td><td>{escape(_describe(document, one))}</td></tr>"
        for field, one in resolved.get("properties", {}).items()
    )
    head = "<tr><th>字段 Field</th><th>类型 Type</th><th>说明</th></tr>"
    return f'<div class="scroll"><table>{head}{rows}</table></div>'


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " | ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(json.dumps(one))}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"[ {_type(schema['items'])} ]"
    return escape(schema.get("type", "object"))


def _describe(document: Json, schema: Json) -> str:
    if "description" in schema:
        return str(schema["description"])
    if "$ref" in schema:
        return str(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["description"])
    return " ".join(filter(None, (_describe(document, one) for one in schema.get("anyOf", ()))))
