"""``--cel-expression``: the Common Expression Language over ``_flow`` (Cilium ``pkg/hubble/filters/cel_expression.go``).

As there, ``_flow`` is the ``flow.Flow`` message, so that an unset field has its type's default, enumerations are
numbers named ``Verdict.DROPPED``, ports are unsigned (``443u``), and an expression that fails on a flow is false.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from flowmine.errors import UsageError
from flowmine.ingest.message import ENUM_NUMBERS, fields_of

__all__ = ["expressions"]


def expressions(values: tuple[str, ...]) -> Callable[[dict[str, Any] | None], bool]:
    """Return a predicate that is true where one of the expressions is.

    One that fails makes the filter false, as in Hubble. Raise UsageError where an expression does not parse, names what a flow has not, or gives no boolean, and where
    the optional package is missing.
    """
    environment = _celpy().Environment(runner_class=_runner())
    constants = _constants()
    convert = _converter()
    programs = [_program(environment, text) for text in values]
    for text, program in zip(values, programs, strict=True):
        _check(program, text, {**constants, "_flow": convert("Flow", {})})

    def matches(flow: dict[str, Any] | None) -> bool:
        context = {**constants, "_flow": convert("Flow", flow or {})}
        try:
            return any(program.evaluate(context) for program in programs)
        except _celpy().CELEvalError:
            return False

    return matches


def _celpy() -> Any:
    try:
        import_module("celpy.evaluation")
        return import_module("celpy")
    except ImportError:
        raise UsageError("--cel-expression needs one package more: pip install 'flowmine[cel]'") from None


def _program(environment: Any, text: str) -> Any:
    try:
        return environment.program(environment.compile(text))
    except _celpy().CELParseError as error:
        raise UsageError(f"{text!r} is no CEL expression: {_first_line(error)}") from None


def _check(program: Any, text: str, context: dict[str, Any]) -> None:
    """Try an expression on an empty flow: what is wrong with its names and types shows there."""
    try:
        result = program.evaluate(context)
    except _celpy().CELEvalError as error:
        if len(error.args) > 1 and error.args[1] in (KeyError, TypeError):
            raise UsageError(f"{text!r} does not fit a flow: {_first_line(error)}") from None
        return
    if not isinstance(result, _celpy().celtypes.BoolType):
        raise UsageError(f"{text!r} gives {type(result).__name__}, where a filter needs true or false")


def _first_line(error: Exception) -> str:
    text = str(error.args[0]) if error.args else str(error)
    return text.partition("\n")[0].partition(" (in activation")[0]


def _constants() -> dict[str, Any]:
    """Return ``Verdict.DROPPED`` and its like, also as ``flow.Verdict.DROPPED``."""
    types = _celpy().celtypes
    IntType, MapType, StringType = types.IntType, types.MapType, types.StringType
    enums = {
        name: MapType({StringType(key): IntType(number) for key, number in numbers.items()})
        for name, numbers in ENUM_NUMBERS.items()
    }
    return {**enums, "flow": MapType({StringType(name): values for name, values in enums.items()})}


def _runner() -> Any:
    """Return a runner for which ``has(message.field)`` is what it is in protobuf: set, and not the default."""
    celpy = _celpy()

    class Presence(celpy.evaluation.Evaluator):  # type: ignore[misc,name-defined]
        def macro_has_eval(self, exprlist: Any) -> Any:
            select = exprlist.children[0]
            while len(select.children) == 1 and select.data != "member_dot":
                select = select.children[0]
            if select.data != "member_dot":
                return super().macro_has_eval(exprlist)
            member, name = select.children
            message = self.visit(member)
            return celpy.celtypes.BoolType(
                isinstance(message, dict) and dict.__contains__(message, name.value)
            )

    class Runner(celpy.InterpretedRunner):  # type: ignore[misc,name-defined]
        def evaluate(self, context: Any) -> Any:
            return Presence(ast=self.ast, activation=self.new_activation()).evaluate(context)

    return Runner


def _converter() -> Callable[[str, dict[str, Any]], Any]:
    """Return the function from a message's name and generic dict to the value that CEL sees."""
    celtypes = _celpy().celtypes

    scalars: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "string": (celtypes.StringType, celtypes.StringType("")),
        "bool": (celtypes.BoolType, celtypes.BoolType(False)),
        "int32": (_whole(celtypes.IntType), celtypes.IntType(0)),
        "uint32": (_whole(celtypes.UintType), celtypes.UintType(0)),
        "uint64": (_whole(celtypes.UintType), celtypes.UintType(0)),
        "BoolValue": (celtypes.BoolType, None),
        "Timestamp": (celtypes.TimestampType, celtypes.TimestampType("1970-01-01T00:00:00Z")),
        "Any": (lambda value: None, None),
    }

    class Message(celtypes.MessageType):  # type: ignore[misc,name-defined]
        def __init__(self, name: str, fields: dict[str, Any]) -> None:
            super().__init__({celtypes.StringType(key): value for key, value in fields.items()})
            self.name = name

        def get(self, key: Any, default: Any = None) -> Any:
            if dict.__contains__(self, key):
                return dict.__getitem__(self, key)
            fields = fields_of(self.name)
            if key not in fields:
                return _celpy().CELEvalError(f"no field {key!r} in flow.{self.name}", KeyError, (key,))
            return unset(*fields[key])

    def unset(kind: str, repeated: bool) -> Any:
        if repeated:
            return celtypes.ListType([])
        if kind in ENUM_NUMBERS:
            return celtypes.IntType(0)
        return scalars[kind][1] if kind in scalars else Message(kind, {})

    def value(kind: str, repeated: bool, given: Any) -> Any:
        if repeated:
            return celtypes.ListType([value(kind, False, item) for item in given])
        if kind in ENUM_NUMBERS:
            return celtypes.IntType(ENUM_NUMBERS[kind].get(given, given if isinstance(given, int) else 0))
        return scalars[kind][0](given) if kind in scalars else message(kind, given)

    def message(name: str, given: dict[str, Any]) -> Any:
        fields = fields_of(name)
        known = {key: item for key, item in given.items() if key in fields and item is not None}
        return Message(name, {key: value(*fields[key], item) for key, item in known.items()})

    return message


def _whole(kind: Callable[[int], Any]) -> Callable[[Any], Any]:
    return lambda value: kind(int(value))
