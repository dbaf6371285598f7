// The client of the integration patterns, on Node's ws. It prints what it is told as JSON lines.
// Arguments: the URL, and the folder that ws is installed in.

import { EventEmitter } from "node:events";
import { createRequire } from "node:module";

const [url, modules] = process.argv.slice(2);
const { WebSocket } = createRequire(`${modules}/`)("ws");
const say = (what, value) => console.log(JSON.stringify([what, value ?? null]));

class WebSocketClient extends EventEmitter {
  reconnectInterval = 200;
  shouldReconnect = true;

  constructor(url) {
    super();
    this.url = url;
  }

  connect() {
    this.ws = new WebSocket(this.url);
    this.ws.on("open", () => this.emit("connected"));
    this.ws.on("message", (data) => {
      try {
        this.emit("message", JSON.parse(data.toString()));
      } catch (error) {
        say("malformed", String(error));
      }
    });
    this.ws.on("close", () => {
      this.emit("disconnected");
      if (this.shouldReconnect) setTimeout(() => this.connect(), this.reconnectInterval);
    });
    this.ws.on("error", (error) => this.emit("error", error));
  }

  send(message) {
    if (this.ws && this.ws.readyState === WebSocket.OPEN) this.ws.send(JSON.stringify(message));
  }

  disconnect() {
    this.shouldReconnect = false;
    if (this.ws) this.ws.close();
  }
}

const client = new WebSocketClient(url);
client.on("connected", () => {
  say("connected");
  client.send({ type: "subscribe", channels: ["workflows"] });
});
client.on("message", (message) => say("message", message));
client.on("disconnected", () => say("disconnected"));
client.on("error", (error) => say("error", String(error)));
client.connect();
process.stdin.on("end", () => client.disconnect()).resume();
