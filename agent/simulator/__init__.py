"""Floor 4: a simulated plant of real Modbus and OPC UA servers, an embedded broker, a cuttable proxy, the demo."""
