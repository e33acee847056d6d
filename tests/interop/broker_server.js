// An aedes broker on 127.0.0.1, which speaks MQTT 3.1.1 and nothing newer, over every way we know.
//
//     node broker_server.js '{"modules": DIR, "ca": PEM, "certificate": PEM, "key": PEM}'
//
// Says `listening {"mqtt": PORT, "mqtts": PORT, "ws": PORT, "wss": PORT}`, `client ID VERSION` for each CONNECT it
// takes, `named NAME` for each client certificate, `refused WHY`. The two with TLS want a certificate of `ca`.
"use strict";
const settings = JSON.parse(process.argv[2]);
const { createRequire } = require("node:module");
const fs = require("node:fs");
const net = require("node:net");
const tls = require("node:tls");
const http = require("node:http");
const https = require("node:https");
const load = createRequire(settings.modules + "/");
const { Aedes } = load("aedes");
const { WebSocketServer, createWebSocketStream } = load("ws");

const secured = {
  ca: fs.readFileSync(settings.ca),
  cert: fs.readFileSync(settings.certificate),
  key: fs.readFileSync(settings.key),
  requestCert: true,
  rejectUnauthorized: true,
};

function overWebSocket(server, broker) {
  const sockets = new WebSocketServer({ server, path: "/mqtt", handleProtocols: (offered) => offered.has("mqtt") && "mqtt" });
  sockets.on("connection", (socket, request) => {
    const stream = createWebSocketStream(socket);
    stream.on("error", () => {});
    broker.handle(stream, request);
  });
  return server;
}

async function main() {
  const broker = await Aedes.createBroker();
  broker.on("client", (client) => console.log(`client ${client.id} ${client.version}`));
  broker.on("connectionError", (client, error) => console.log(`refused ${error.message}`));
  const named = (socket) => console.log(`named ${socket.getPeerCertificate().subject.CN}`);
  const servers = {
    mqtt: net.createServer(broker.handle),
    mqtts: tls.createServer(secured, broker.handle).on("secureConnection", named),
    ws: overWebSocket(http.createServer(), broker),
    wss: overWebSocket(https.createServer(secured), broker).on("secureConnection", named),
  };
  const ports = {};
  for (const [name, server] of Object.entries(servers)) {
    server.on("clientError", () => {}).on("tlsClientError", (error) => console.log(`refused ${error.message}`));
    await new Promise((resolve) => server.listen(settings[name] || 0, "127.0.0.1", resolve));
    ports[name] = server.address().port;
  }
  console.log(`listening ${JSON.stringify(ports)}`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
