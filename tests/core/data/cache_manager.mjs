// A neighbour of agentnb's on the same Redis: a service with a cache-aside manager on ioredis.
// Reads one JSON command a line, [method, ...arguments], and answers each with one JSON line.
// Arguments: the socket of the server, and the folder that ioredis is installed in.

import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const [socket, modules] = process.argv.slice(2);
const { Redis } = createRequire(`${modules}/`)("ioredis");

class CacheManager {
  constructor(redis) {
    this.redis = redis;
    this.defaultTTL = 3600;
  }

  async get(key) {
    const data = await this.redis.get(key);
    if (!data) return null;
    try {
      return JSON.parse(data);
    } catch {
      return data;
    }
  }

  async set(key, value, ttl = this.defaultTTL) {
    const serialized = typeof value === "string" ? value : JSON.stringify(value);
    await this.redis.setex(key, ttl, serialized);
  }

  async invalidate(pattern) {
    const keys = await this.redis.keys(pattern);
    if (keys.length > 0) await this.redis.del(...keys);
  }

  async getOrSet(key, fetcher, ttl) {
    const cached = await this.get(key);
    if (cached !== null) return cached;
    const fresh = await fetcher();
    await this.set(key, fresh, ttl);
    return fresh;
  }

  ttl(key) {
    return this.redis.ttl(key);
  }
}

const redis = new Redis({ path: socket });
const cache = new CacheManager(redis);

for await (const line of createInterface({ input: process.stdin })) {
  const [method, ...words] = JSON.parse(line);
  if (method === "getOrSet") words[1] = ((fresh) => async () => fresh)(words[1]);
  try {
    console.log(JSON.stringify({ value: (await cache[method](...words)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
redis.disconnect();
