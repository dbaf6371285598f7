// A neighbour of agentnb's on the same Redis: a service with an event bus on ioredis, which emits
// what it publishes to its own listeners and takes every message as JSON.
// Reads one JSON command a line, [method, ...arguments], and answers each with one JSON line.
// Arguments: the socket of the server, and the folder that ioredis is installed in.

import { EventEmitter } from "node:events";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const [socket, modules] = process.argv.slice(2);
const { Redis } = createRequire(`${modules}/`)("ioredis");
const publisher = new Redis({ path: socket });
const subscriber = new Redis({ path: socket });
await Promise.all([publisher, subscriber].map((redis) => redis.ping()));
const errors = [];

class EventBus extends EventEmitter {
  constructor() {
    super();
    subscriber.on("message", (channel, message) => {
      try {
        this.emit(channel, JSON.parse(message));
      } catch (error) {
        errors.push({ channel, message, error: String(error) });
      }
    });
  }

  async publish(channel, event) {
    this.emit(channel, event);
    await publisher.publish(channel, JSON.stringify(event));
  }

  async subscribe(channel, handler) {
    this.on(channel, handler);
    await subscriber.subscribe(channel);
  }

  async unsubscribe(channel) {
    this.removeAllListeners(channel);
    await subscriber.unsubscribe(channel);
  }
}

const bus = new EventBus();
const got = [];
const methods = {
  listen: (channel) => bus.subscribe(channel, async (event) => got.push([channel, event])),
  echo: (from, to) => bus.subscribe(from, (event) => bus.publish(to, event)),
  publish: (channel, event) => bus.publish(channel, event),
  unsubscribe: (channel) => bus.unsubscribe(channel),
  got: async () => got,
  errors: async () => errors,
};

for await (const line of createInterface({ input: process.stdin })) {
  const [method, ...words] = JSON.parse(line);
  try {
    console.log(JSON.stringify({ value: (await methods[method](...words)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
publisher.disconnect();
subscriber.disconnect();
