"""`python -m tests.bench.opcua_server PORT NODES EVERY`: an asyncua server whose Double nodes change together."""

from __future__ import annotations

import asyncio
import logging
import sys

from asyncua import Server, ua


async def main(port: int, count: int, every: float) -> None:
    """Serve on loopback until killed."""
    logging.disable(logging.WARNING)
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace("urn:bench")
    folder = await server.nodes.objects.add_folder(ua.NodeId("Bench", index), ua.QualifiedName("Bench", index))
    nodes = [
        await folder.add_variable(ua.NodeId(f"V{number}", index), ua.QualifiedName(f"V{number}", index), float(number))
        for number in range(count)
    ]
    async with server:
        value = 0.0
        while True:
            await asyncio.sleep(every or 3600)
            value += 1.0
            for node in nodes:
                await server.write_attribute_value(node.nodeid, ua.DataValue(ua.Variant(value, ua.VariantType.Double)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
