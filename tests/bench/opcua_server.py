"""`python -m tests.bench.opcua_server PORT NODES EVERY`: an asyncua server whose Double nodes change together."""

from __future__ import annotations

import asyncio
import logging
import sys

from asyncua import ua
from asyncua.server.server import Server


async def main(port: int, count: int, every: float) -> None:
    """Serve on loopback until killed."""
    logging.disable(logging.WARNING)
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace("urn:bench")

    def named(name: str) -> tuple[ua.NodeId, ua.QualifiedName]:
        return ua.NodeId.from_string(f"ns={index};s={name}"), ua.QualifiedName(name, index)

    nodes = []
    for number in range(count):
        if number % 100 == 0:  # adding to a folder takes the longer the more it has
            folder = await server.nodes.objects.add_folder(*named(f"Bench{number}"))
        nodes.append(await folder.add_variable(*named(f"V{number}"), float(number)))
    async with server:
        value = 0.0
        while True:
            await asyncio.sleep(every or 3600)
            value += 1.0
            for node in nodes:
                await server.write_attribute_value(node.nodeid, ua.DataValue(ua.Variant(value, ua.VariantType.Double)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
