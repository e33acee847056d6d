"""An address space as machines have it: units, ranges, descriptions, rights, arrays, enumerations, many nodes."""

from __future__ import annotations

from typing import Any

from asyncua import ua as library

from tests.integration.opcua.server import Plant

ua: Any = library
CEFACT = "http://www.opcfoundation.org/UA/units/un/cefact"
CEL, RPM = 4408652, 5394509  #: CEL and RPM as numbers


async def machine(plant: Plant, name: str, uri: str) -> None:
    """`name/Spindle/{Speed,Temperature,Mode,Gear}`, `name/{Secret,Curve,État 状態}`."""
    index = plant.indexes[uri]

    def node(path: str) -> Any:
        return ua.NodeId(f"{name}.{path}", index)

    def called(text: str) -> Any:
        return ua.QualifiedName(text, index)

    async def build() -> None:
        root = await plant.server.nodes.objects.add_object(ua.NodeId(name, index), called(name))
        spindle = await root.add_object(node("Spindle"), called("Spindle"))
        speed = await spindle.add_variable(node("Spindle.Speed"), called("Speed"), 1200.0)
        await _analog(speed, RPM, "rpm", (0.0, 24000.0))
        await _describe(speed, "speed of the spindle")
        await speed.write_attribute(ua.AttributeIds.MinimumSamplingInterval, ua.DataValue(ua.Variant(250.0)))
        warm = await spindle.add_variable(node("Spindle.Temperature"), called("Temperature"), 40.0)
        await _analog(warm, CEL, "°C", None)
        await spindle.add_variable(node("Spindle.Mode"), called("Mode"), 1, ua.VariantType.Int32, ua.NodeId(852))
        gear = await spindle.add_variable(node("Spindle.Gear"), called("Gear"), 1, ua.VariantType.UInt32)
        names = [ua.LocalizedText(text) for text in ("neutral", "low", "high")]
        await gear.add_property(node("Spindle.Gear.texts"), "0:EnumStrings", names)
        secret = await root.add_variable(node("Secret"), called("Secret"), 1)
        for attribute in (ua.AttributeIds.AccessLevel, ua.AttributeIds.UserAccessLevel):
            await secret.write_attribute(attribute, ua.DataValue(ua.Variant(0, ua.VariantType.Byte)))
        await root.add_variable(node("Curve"), called("Curve"), [1.5, 2.5])
        state = await root.add_variable(node("State"), called("État 状態"), True)
        await state.set_writable()
        plant.nodes |= {"speed": speed, "warm": warm, "mode": state}

    await plant.do(build())


async def _analog(node: Any, unit: int, written: str, limits: tuple[float, float] | None) -> None:
    def beside(name: str) -> Any:
        return ua.NodeId(f"{node.nodeid.Identifier}.{name}", node.nodeid.NamespaceIndex)

    told = ua.EUInformation(NamespaceUri=CEFACT, UnitId=unit, DisplayName=ua.LocalizedText(written))
    await node.add_property(beside("eu"), "0:EngineeringUnits", told)
    if limits is not None:
        await node.add_property(beside("range"), "0:EURange", ua.Range(Low=limits[0], High=limits[1]))


async def _describe(node: Any, text: str) -> None:
    await node.write_attribute(ua.AttributeIds.Description, ua.DataValue(ua.Variant(ua.LocalizedText(text))))
