"""MQTT 5 and 3.1.1 on paho-mqtt, with our own window and every reason code honoured."""
