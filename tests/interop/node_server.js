// A node-opcua server on 127.0.0.1 with every security we speak, for the interoperation tests.
//
//     node node_server.js '{"modules": DIR, "port": 0, "certificate": PEM, "key": PEM, "pki": DIR, "nodes": 3}'
//
// Says `listening PORT`. Node `nsu=urn:interop;s=vN` counts up from N, every 100 ms unless `every` says otherwise;
// `fastest` is how often an item may be sampled, 0 for at every change; `limits` are OperationLimits; `history` keeps
// that of all nodes; with `calls`, "opc.tcp://HOST:PORT", the server also calls there (reverse connect). The alarm
// `LevelAlarm` of `nsu=urn:interop;s=level`, which anybody may write, stands above 90. SIGUSR2 takes away every second
// monitored item, as a server does that has lost its head.
"use strict";
const settings = JSON.parse(process.argv[2]);
const { createRequire } = require("node:module");
const load = createRequire(settings.modules + "/");
const { OPCUAServer } = load("node-opcua-server");
const { OPCUACertificateManager } = load("node-opcua-certificate-manager");
const { SecurityPolicy, MessageSecurityMode } = load("node-opcua-secure-channel");
const variants = load("node-opcua-variant");
const { Variant, DataType } = variants;
const addValues = require("./node_values.js");

async function main() {
  const store = (name) =>
    new OPCUACertificateManager({
      automaticallyAcceptUnknownCertificate: settings.accept !== false,
      rootFolder: `${settings.pki}/${name}`,
      disableFileWatchers: true,
    });
  const server = new OPCUAServer({
    host: "127.0.0.1",
    hostname: settings.hostname || "127.0.0.1",
    port: settings.port || 0,
    certificateFile: settings.certificate,
    privateKeyFile: settings.key,
    serverCertificateManager: store("server"),
    userCertificateManager: store("users"),
    allowAnonymous: true,
    securityPolicies: [
      SecurityPolicy.None,
      SecurityPolicy.Basic256Sha256,
      SecurityPolicy.Aes128_Sha256_RsaOaep,
      SecurityPolicy.Aes256_Sha256_RsaPss,
    ],
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
    userManager: { isValidUser: (name, password) => name === "agent" && password === "open sesame ü" },
    maxConnectionsPerEndpoint: settings.connections || 20,
    serverCapabilities: {
      maxSessions: settings.sessions || 20,
      minSupportedSampleRate: settings.fastest ?? 50,
      operationLimits: settings.limits,
    },
    reverseConnect: settings.calls && { connections: [{ endpointUrl: settings.calls }], reconnectDelay: 200 },
    serverInfo: { applicationUri: "urn:test:server" },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  const ours = space.registerNamespace("urn:interop");
  space.installAlarmsAndConditionsService();
  const tank = ours.addObject({
    organizedBy: space.rootFolder.objects,
    notifierOf: space.rootFolder.objects.server,
    browseName: "Tank",
    eventNotifier: 1,
  });
  const level = ours.addVariable({
    componentOf: tank,
    eventSourceOf: tank,
    browseName: "Level",
    nodeId: "s=level",
    dataType: "Double",
    value: { dataType: "Double", value: 50 },
  });
  ours.instantiateExclusiveLimitAlarm("ExclusiveLimitAlarmType", {
    browseName: "LevelAlarm",
    conditionSource: level,
    inputNode: level,
    highLimit: 90,
    lowLimit: 0,
  });
  let ticks = 0;
  const values = [];
  for (let number = 0; number < (settings.nodes || 3); number += 1) {
    values.push(
      ours.addVariable({
        organizedBy: space.rootFolder.objects,
        browseName: `v${number}`,
        nodeId: `s=v${number}`,
        dataType: "Double",
        minimumSamplingInterval: settings.fastest ?? 50,
      }),
    );
  }
  if (settings.history) {
    values.forEach((node) => space.installHistoricalDataNode(node, { maxOnlineValues: 10000 }));
  }
  const tellMore = addValues(space, ours, variants);
  const tell = () => {
    tellMore();
    values.forEach((node, number) =>
      node.setValueFromSource(new Variant({ dataType: DataType.Double, value: number + ticks })),
    );
    ticks += 1;
  };
  tell();
  setInterval(tell, settings.every || 100);
  await server.start();
  const { port } = server.endpoints[0];
  process.stdout.write(`listening ${port}\n`);
  process.on("SIGTERM", () => process.exit(0));
  process.on("SIGUSR2", () => {
    for (const session of Object.values(server.engine._sessions)) {
      for (const subscription of Object.values(session.publishEngine.subscriptions)) {
        const items = [...subscription.monitoredItems.keys()].filter((_, at) => at % 2);
        items.forEach((item) => subscription.removeMonitoredItem(item));
      }
    }
  });
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
