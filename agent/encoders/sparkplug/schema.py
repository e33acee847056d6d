"""The messages of a Sparkplug B payload, as far as an edge node sends or reads them (specification 6.4).

Descriptors are built from these tables at import: no generated code, so none that must match the runtime's version.
Fields the tables leave out (templates, data sets, metadata) are never sent; in commands they are passed over.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "edge.sparkplug"
_Field = descriptor_pb2.FieldDescriptorProto

_TYPES = {
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
    "float": _Field.TYPE_FLOAT,
    "double": _Field.TYPE_DOUBLE,
    "bool": _Field.TYPE_BOOL,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
}

#: message → fields: number, name, type (`*`: repeated, `|`: one of the values)
_MESSAGES: dict[str, list[tuple[int, str, str]]] = {
    "PropertyValue": [
        (1, "type", "uint32"), (2, "is_null", "bool"), (3, "int_value", "|uint32"), (4, "long_value", "|uint64"),
        (5, "float_value", "|float"), (6, "double_value", "|double"), (7, "boolean_value", "|bool"),
        (8, "string_value", "|string"),
    ],
    "PropertySet": [(1, "keys", "*string"), (2, "values", "*PropertyValue")],
    "Metric": [
        (1, "name", "string"), (2, "alias", "uint64"), (3, "timestamp", "uint64"), (4, "datatype", "uint32"),
        (5, "is_historical", "bool"), (6, "is_transient", "bool"), (7, "is_null", "bool"),
        (9, "properties", "PropertySet"), (10, "int_value", "|uint32"), (11, "long_value", "|uint64"),
        (12, "float_value", "|float"), (13, "double_value", "|double"), (14, "boolean_value", "|bool"),
        (15, "string_value", "|string"), (16, "bytes_value", "|bytes"),
    ],
    "Payload": [
        (1, "timestamp", "uint64"), (2, "metrics", "*Metric"), (3, "seq", "uint64"), (4, "uuid", "string"),
        (5, "body", "bytes"),
    ],
}  # fmt: skip


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="edge/sparkplug", package=_PACKAGE, syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field_name, kind in fields:
            bare = kind.lstrip("*|")
            field = message.field.add(name=field_name, number=number)
            field.label = _Field.LABEL_REPEATED if kind[0] == "*" else _Field.LABEL_OPTIONAL
            if bare in _TYPES:
                field.type = _TYPES[bare]
            else:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{bare}"
            if kind[0] == "|":
                if not message.oneof_decl:
                    message.oneof_decl.add(name="value")
                field.oneof_index = 0
    return file


_pool = descriptor_pool.DescriptorPool()
_pool.AddSerializedFile(_file().SerializeToString())


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


Payload: Any = _class("Payload")
Metric: Any = _class("Metric")
