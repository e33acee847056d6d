// Values that say whether a server does what is asked of it, for test_node_values.py: all under `nsu=urn:interop;s=`.
//
//     row      ten doubles, 0 to 9                 mode     an enumeration: 2, "Hand"
//     matrix   3 x 4, row by row from 0            ramp     0.5 more with every tick, range 0 to 200
//     fast     counts up, many times a tick
"use strict";

module.exports = function addValues(space, ours, { Variant, DataType, VariantArrayType }) {
  const folder = space.rootFolder.objects;
  const numbers = (count) => Float64Array.from({ length: count }, (_, at) => at);
  ours.addVariable({
    organizedBy: folder, browseName: "row", nodeId: "s=row", dataType: "Double", valueRank: 1,
    value: new Variant({ dataType: DataType.Double, arrayType: VariantArrayType.Array, value: numbers(10) }),
  });
  ours.addVariable({
    organizedBy: folder, browseName: "matrix", nodeId: "s=matrix", dataType: "Double", valueRank: 2,
    arrayDimensions: [3, 4],
    value: new Variant({
      dataType: DataType.Double, arrayType: VariantArrayType.Matrix, dimensions: [3, 4], value: numbers(12),
    }),
  });
  const modes = ours.addEnumerationType({ browseName: "Modes", enumeration: ["Off", "Auto", "Hand"] });
  ours.addVariable({
    organizedBy: folder, browseName: "mode", nodeId: "s=mode", dataType: modes,
    value: new Variant({ dataType: DataType.Int32, value: 2 }),
  });
  const ramp = ours.addAnalogDataItem({
    organizedBy: folder, browseName: "ramp", nodeId: "s=ramp", dataType: "Double", minimumSamplingInterval: 0,
    engineeringUnitsRange: { low: 0, high: 200 }, value: new Variant({ dataType: DataType.Double, value: 0 }),
  });
  const fast = ours.addVariable({
    organizedBy: folder, browseName: "fast", nodeId: "s=fast", dataType: "UInt32", minimumSamplingInterval: 0,
    value: new Variant({ dataType: DataType.UInt32, value: 0 }),
  });
  let ticks = 0;
  let count = 0;
  return () => {
    ticks += 1;
    ramp.setValueFromSource(new Variant({ dataType: DataType.Double, value: (ticks / 2) % 200 }));
    for (let at = 0; at < 20; at += 1) {
      count += 1;
      fast.setValueFromSource(new Variant({ dataType: DataType.UInt32, value: count }));
    }
  };
};
