"""The reasons that the code gives for its errors, read from the source: where an error is made with a reason, which
gRPC code it has, and what it says."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

FOLDERS = ("services", "gateway")

FIELD = "INVALID_ARGUMENT"
"""The code of an error that is about fields."""

MAKERS: Mapping[str, tuple[str, int, int]] = {
    "violation": (FIELD, 1, 2),
    "invalid": (FIELD, 1, 2),
    "conflict": (FIELD, 2, 3),
    "Violation": (FIELD, 1, 2),
    "NotFound": ("NOT_FOUND", 0, 1),
    "AlreadyExists": ("ALREADY_EXISTS", 0, 1),
    "FailedPrecondition": ("FAILED_PRECONDITION", 0, 1),
    "Unavailable": ("UNAVAILABLE", 0, 1),
    "ServiceError": ("", 1, 2),
    "HttpError": ("", 1, 2),
    "refusal": ("", 1, 2),
}
"""What makes an error or a violation: its code, and the places of its reason and of its text (two strings or a Text).
Without a code, the first argument is it."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Given:
    """A reason as one place in the code gives it. `zh` and `en` are as written, with what is filled in in braces;
    `metadata` are the names that the ErrorInfo carries."""

    reason: str
    code: str
    zh: str
    en: str
    module: str
    metadata: tuple[str, ...] = ()


class _Source:
    """All modules that are looked at, with what tells the value of a reason that is not written in place."""

    def __init__(self, root: Path) -> None:
        self.trees = {
            str(path.relative_to(root)): ast.parse(path.read_text(encoding="utf-8"))
            for folder in FOLDERS
            for path in sorted((root / folder).rglob("*.py"))
        }
        self.constants: dict[str, str] = {}
        self.spoken: dict[str, tuple[str, str]] = {}
        self.calls: dict[str, list[ast.Call]] = {}
        for tree in self.trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.Assign):
                    self._note(node)
                elif isinstance(node, ast.Call):
                    self.calls.setdefault(_name(node.func), []).append(node)

    def _note(self, node: ast.Assign) -> None:
        for target in node.targets:
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                self.constants.setdefault(_name(target), node.value.value)
            elif isinstance(node.value, ast.Call) and _name(node.value.func) == "Text" and len(node.value.args) == 2:
                zh, en = map(_words, node.value.args)
                self.spoken.setdefault(_name(target), (zh, en))

    def said(self, call: ast.Call, at: int, around: Sequence[Function]) -> tuple[str, str]:
        """Returns the texts of an error, in Chinese and English, as far as the source tells; else empty ones."""
        texts = call.args[at : at + 2]
        if texts and isinstance(texts[0], ast.Attribute):
            return self.spoken.get(_name(texts[0].value), ("", ""))
        if texts and isinstance(texts[0], ast.Name):
            texts = [_assigned(texts[0].id, around) or texts[0]]
        if texts and isinstance(texts[0], ast.Call) and _name(texts[0].func) == "Text":
            texts = texts[0].args
        words = [_words(text) for text in texts]
        return (words[0], words[1]) if len(words) == 2 else ("", "")

    def texts(self, node: ast.expr, around: Sequence[Function]) -> list[str]:
        """Returns every text that an expression may be, as far as the source tells."""
        if isinstance(node, ast.Constant):
            return [node.value] if isinstance(node.value, str) else []
        if isinstance(node, ast.IfExp):
            return self.texts(node.body, around) + self.texts(node.orelse, around)
        if isinstance(node, ast.JoinedStr):
            parts = [
                [f"{part.value!s}"]
                if isinstance(part, ast.Constant)
                else self.texts(part.value, around)
                if isinstance(part, ast.FormattedValue)
                else []
                for part in node.values
            ]
            return ["".join(choice) for choice in product(*parts)]
        if isinstance(node, ast.Name):
            return self._named(node.id, around)
        return []

    def _named(self, name: str, around: Sequence[Function]) -> list[str]:
        for function in reversed(around):
            arguments = [*function.args.posonlyargs, *function.args.args]
            if name in [argument.arg for argument in arguments]:
                at = [argument.arg for argument in arguments if argument.arg != "self"].index(name)
                passed = [call.args[at] for call in self.calls.get(function.name, ()) if len(call.args) > at]
                passed += [
                    keyword.value
                    for call in self.calls.get(function.name, ())
                    for keyword in call.keywords
                    if keyword.arg == name
                ]
                return sorted({text for one in passed for text in self.texts(one, ())})
            assigned = [
                node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign)
                for target in node.targets
                if isinstance(target, ast.Name) and target.id == name
            ]
            if assigned:
                return sorted({text for one in assigned for text in self.texts(one, around)})
        return [self.constants[name]] if name in self.constants else []


@cache
def _read(root: Path) -> _Source:
    return _Source(root)


def given(root: Path) -> list[Given]:
    """Returns every reason that is given anywhere below the root, in the order of modules."""
    source = _read(root)
    found = []
    for module, tree in source.trees.items():
        for call, around in _calls(tree, ()):
            maker = MAKERS.get(_name(call.func))
            if maker is None:
                continue
            code, reason_at, text_at = maker
            if len(call.args) <= reason_at:
                continue
            code = code or _code(call.args[0])
            zh, en = source.said(call, text_at, around)
            names = _keys(call)
            found += [
                Given(reason, code, zh, en, module, names)
                for reason in source.texts(call.args[reason_at], around)
                if code
            ]
    return found


def unread(root: Path) -> list[str]:
    """Returns the places that make an error whose reason the source does not tell; what hands errors on is left out."""
    source = _read(root)
    return [
        f"{module}:{call.lineno}"
        for module, tree in source.trees.items()
        for call, around in _calls(tree, ())
        if (maker := MAKERS.get(_name(call.func))) is not None
        and len(call.args) > maker[1]
        and not source.texts(call.args[maker[1]], around)
        and not _handed_on(call.args[maker[1]])
    ]


def _handed_on(node: ast.expr) -> bool:
    # `error.reason`, `reason or code.name`: what another error said.
    return isinstance(node, ast.Attribute) or (isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or))


def _calls(tree: ast.AST, around: Sequence[Function]) -> Iterator[tuple[ast.Call, Sequence[Function]]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call):
            yield node, around
        yield from _calls(node, (*around, node) if isinstance(node, Function) else around)


def _keys(call: ast.Call) -> tuple[str, ...]:
    """Returns the keys of the dictionaries written as a call's arguments."""
    written = [*call.args, *(keyword.value for keyword in call.keywords)]
    return tuple(
        key.value
        for one in written
        if isinstance(one, ast.Dict)
        for key in one.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    )


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _code(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return f"HTTP {node.value}" if isinstance(node, ast.Constant) and isinstance(node.value, int) else ""


def _assigned(name: str, around: Sequence[Function]) -> ast.expr | None:
    for function in reversed(around):
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and [name] == [_name(target) for target in node.targets]:
                return node.value
    return None


def _words(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""
