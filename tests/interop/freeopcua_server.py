"""python-opcua (FreeOpcUa, the synchronous ancestor of asyncua) on 127.0.0.1. Runs in a Python of its own.

python freeopcua_server.py '{"port": 4840, "certificate": DER, "key": PEM}'
"""

from __future__ import annotations

import json
import sys
import threading

from opcua import Server, ua  # type: ignore[import-not-found]  # lives in a Python of its own
from opcua.common.type_dictionary_buider import (  # type: ignore[import-not-found]
    DataTypeDictionaryBuilder,
    get_ua_class,
)

settings = json.loads(sys.argv[1])
server = Server()
server.set_endpoint(f"opc.tcp://127.0.0.1:{settings['port']}/")
server.set_application_uri("urn:test:server")
server.load_certificate(settings["certificate"])
server.load_private_key(settings["key"])
server.set_security_policy(
    [
        ua.SecurityPolicyType.NoSecurity,
        ua.SecurityPolicyType.Basic256Sha256_Sign,
        ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ]
)
server.set_security_IDs(["Anonymous", "Username", "Basic256Sha256"])
server.user_manager.set_user_manager(lambda _session, name, word: name == "agent" and word == settings["password"])
index = server.register_namespace("urn:interop")
nodes = [server.nodes.objects.add_variable(ua.NodeId(f"v{n}", index), f"v{n}", float(n)) for n in range(3)]
types = {}
book = DataTypeDictionaryBuilder(server, index, "urn:interop:types", "InteropTypes")
for name, fields in {
    "Tool": [("Name", ua.VariantType.String, False), ("Wear", ua.VariantType.Float, False)],
    "Order": [("Number", ua.VariantType.UInt32, False), ("Tools", "Tool", True), ("Sizes", ua.VariantType.Int16, True)],
}.items():
    made = types[name] = book.create_data_type(name)
    for field, kind, many in fields:
        made.add_field(field, kind, is_array=many)
book.set_dict_byte_string()
server.load_type_definitions()  # its own client's way: classes made of the dictionary
tool, order = get_ua_class("Tool")(), get_ua_class("Order")()
tool.Name, tool.Wear = "drill", 0.5
order.Number, order.Tools, order.Sizes = 7, [tool, tool], [1, -2, 3]
server.nodes.objects.add_variable(ua.NodeId("order", index), "order", order, datatype=types["Order"].data_type)
server.start()
sys.stdout.write(f"listening {settings['port']}\n")
sys.stdout.flush()
ticks = 0
while not threading.Event().wait(0.1):
    ticks += 1
    for number, node in enumerate(nodes):
        node.set_value(float(number + ticks))
