/**
 * `npm run bench:micro`: what the hot structures cost one by one, in ns an operation. A sample is a batch of operations, so that the
 * timer's own cost vanishes, and every batch returns a number that must be the expected one: work that is optimised away, or
 * wrong, fails instead of looking fast.
 */
import { Bench } from 'tinybench';
import { jenkins } from '../../engines/base/jenkins.ts';
import { murmur3 } from '../../engines/base/murmur3.ts';
import { createRandom } from '../../engines/base/random.ts';
import { nowUs } from '../../engines/io/now.ts';
import { Core as MemcachedCore } from '../../engines/memcached/core.ts';
import { binaryGet } from '../../engines/memcached/protocol/encode.ts';
import { defaultSettings } from '../../engines/memcached/settings.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { createJemalloc } from '../../engines/memory/jemalloc.ts';
import type { Clock, Memory } from '../../engines/ports.ts';
import { defaultConfig } from '../../engines/redis/config.ts';
import { addReplyBulk, addReplyLong } from '../../engines/redis/protocol/reply.ts';
import { createRedisCore } from '../../engines/redis/redis-core.ts';
import { createCommandTable } from '../../engines/redis/registry.ts';
import { dictCreate, dictDelete, dictFind, dictInsert } from '../../engines/redis/structures/dict.ts';
import { DICT_TYPE_DB, dictSize } from '../../engines/redis/structures/dict-layout.ts';
import { keyHash } from '../../engines/redis/structures/key-hash.ts';
import { sdsLen, sdsNewLen } from '../../engines/redis/structures/sds.ts';
import { loadScenario } from '../../scenarios/load.ts';
import { LatencyCounts } from '../measure/latency-counts.ts';
import { Workload } from '../workload/workload.ts';
import { Sink } from './sink.ts';

const ARENA_BYTES = 512 * 1024 * 1024;
const BATCH = 1_000;
const KEYS = 100_000;
const KEY_BYTES = 16;
const VALUE_BYTES = 100;
const INPUT_PAGES = 64;
/** Strides through the keys that visit them all, out of order. */
const STRIDE = 7_919;

/** One thing that is measured. */
interface Micro {
  name: string;
  /** Runs BATCH operations. */
  run: () => number;
  /** What `run` must return; null: what it returned first, which must not be 0. */
  expected: number | null;
}

/** One line of the result. */
export interface MicroRow {
  name: string;
  nsPerOperation: number;
  /** Margin of error of the mean at 95 % confidence, in percent of it. */
  marginPercent: number;
}

export interface MicroOptions {
  /** Milliseconds of measuring each structure. */
  timeMs: number;
  /** Only names that contain this. */
  only?: string;
}

const clock: Clock = { wallMs: Date.now, monoUs: nowUs };
const keyText = (i: number): string => `key:${String(i).padStart(KEY_BYTES - 4, '0')}`;
const valueText = 'v'.repeat(VALUE_BYTES);

/** Stores requests of `text` for a stride of keys. @returns where they begin and end */
function store(memory: Memory, at: number, text: (key: string) => string): [number, number] {
  let all = '';
  for (let i = 0; i < BATCH; i++) all += text(keyText((i * STRIDE) % KEYS));
  const bytes = Buffer.from(all, 'latin1');
  memory.u8.set(bytes, at);
  return [at, at + bytes.length];
}

function hashes(): Micro[] {
  const u8 = Buffer.alloc(BATCH + KEY_BYTES);
  for (let i = 0; i < u8.length; i++) u8[i] = Math.imul(i, 0x9e3779b1) >>> 24;
  const view = new DataView(u8.buffer, u8.byteOffset, u8.byteLength);
  const hashKey = Uint32Array.of(1, 2, 3, 4);
  const sum = (hash: (at: number) => number) => (): number => {
    let total = 0;
    for (let i = 0; i < BATCH; i++) total = (Math.imul(total, 31) + hash(i)) | 0;
    return total;
  };
  return [
    { name: 'SipHash-1-2 of 16 bytes', run: sum((at) => keyHash(u8, view, at, KEY_BYTES, hashKey)), expected: null },
    { name: 'Murmur3 of 16 bytes', run: sum((at) => murmur3(view, at, KEY_BYTES)), expected: null },
    { name: 'Jenkins of 16 bytes', run: sum((at) => jenkins(view, at, KEY_BYTES)), expected: null },
  ];
}

function redis(): Micro[] {
  const memory = createArena({ byteLength: ARENA_BYTES });
  const allocator = createJemalloc(memory, { classes: 'debian', clock });
  const sink = new Sink(memory);
  const core = createRedisCore({
    allocator,
    transport: sink,
    clock,
    random: createRandom('micro'),
    config: defaultConfig(),
    commands: createCommandTable(),
    log: () => {},
    host: { pid: 1, tcpPort: 0, eventLoop: 'none', executable: '', configFile: '', os: '' },
  });
  core.onOpen(0, 0);
  const client = core.clients[0]!;
  const { heap } = core;
  const offsets = new Uint32Array(BATCH);
  const input = memory.takePages(INPUT_PAGES);
  const feed = ([from, to]: [number, number]): number => {
    if (core.onInput(0, from, to) !== to) throw new Error('Cannot measure: a request was left over');
    core.onTurn();
    return sink.take();
  };
  for (let i = 0; i < KEYS; i++) {
    const set = Buffer.from(`*3\r\n$3\r\nSET\r\n$16\r\n${keyText(i)}\r\n$100\r\n${valueText}\r\n`, 'latin1');
    memory.u8.set(set, input);
    feed([input, input + set.length]);
  }
  const pages = (): number => memory.takePages(INPUT_PAGES);
  const ping = store(memory, pages(), () => '*1\r\n$4\r\nPING\r\n');
  const get = store(memory, pages(), (key) => `*2\r\n$3\r\nGET\r\n$16\r\n${key}\r\n`);
  const set = store(memory, pages(), (key) => `*3\r\n$3\r\nSET\r\n$16\r\n${key}\r\n$100\r\n${valueText}\r\n`);

  const keys = memory.takePages(INPUT_PAGES);
  store(memory, keys, (key) => key);
  const dict = dictCreate(heap, DICT_TYPE_DB);
  for (let i = 0; i < KEYS; i++) {
    memory.u8.set(Buffer.from(keyText(i), 'latin1'), input);
    dictInsert(heap, dict, sdsNewLen(heap, input, KEY_BYTES));
  }
  return [
    {
      name: 'allocate and free 100 bytes',
      run: () => {
        const used = allocator.usedBytes;
        for (let i = 0; i < BATCH; i++) offsets[i] = allocator.alloc(VALUE_BYTES);
        const held = allocator.usedBytes - used;
        for (let i = 0; i < BATCH; i++) allocator.free(offsets[i]!);
        return held;
      },
      expected: BATCH * allocator.sizeClass(VALUE_BYTES),
    },
    {
      name: 'dict lookup among 100,000',
      run: () => {
        let found = 0;
        for (let i = 0; i < BATCH; i++) {
          const entry = dictFind(heap, dict, keys + i * KEY_BYTES, KEY_BYTES);
          if (entry !== 0) found += sdsLen(heap, heap.u32[entry >>> 2]!);
        }
        return found;
      },
      expected: BATCH * KEY_BYTES,
    },
    {
      name: 'dict delete and insert with a new key',
      run: () => {
        const used = allocator.usedBytes;
        for (let i = 0; i < BATCH; i++) {
          const at = keys + i * KEY_BYTES;
          if (dictDelete(heap, dict, at, KEY_BYTES)) dictInsert(heap, dict, sdsNewLen(heap, at, KEY_BYTES));
        }
        return dictSize(heap, dict) + allocator.usedBytes - used;
      },
      expected: KEYS,
    },
    {
      name: 'RESP integer reply',
      run: () => {
        for (let i = 0; i < BATCH; i++) addReplyLong(client, 1_000_000 + i);
        return sink.take();
      },
      expected: BATCH * ':1000000\r\n'.length,
    },
    {
      name: 'RESP bulk reply of 100 bytes',
      run: () => {
        for (let i = 0; i < BATCH; i++) addReplyBulk(client, keys, VALUE_BYTES);
        return sink.take();
      },
      expected: BATCH * ('$100\r\n\r\n'.length + VALUE_BYTES),
    },
    { name: 'Redis-like PING, parsed to answered', run: () => feed(ping), expected: BATCH * '+PONG\r\n'.length },
    {
      name: 'Redis-like GET of 100 bytes',
      run: () => feed(get),
      expected: BATCH * ('$100\r\n\r\n'.length + VALUE_BYTES),
    },
    { name: 'Redis-like SET of 100 bytes', run: () => feed(set), expected: BATCH * '+OK\r\n'.length },
  ];
}

function memcached(): Micro[] {
  const memory = createArena({ byteLength: ARENA_BYTES });
  const sink = new Sink(memory);
  const core = new MemcachedCore(memory, clock, defaultSettings(), {
    log: () => {},
    onShutdown: () => {},
    usage: () => ({ pid: 1, userSeconds: 0, systemSeconds: 0 }),
  });
  core.setTransport(sink);
  const feed = (conn: number, [from, to]: [number, number]): number => {
    // A connection gives way to others after some requests and is then handed the rest.
    for (let at = from; at < to; ) {
      const next = core.onInput(conn, at, to);
      if (next === at) throw new Error('Cannot measure: a request was left over');
      at = next;
    }
    core.onTurn();
    return sink.take();
  };
  core.onOpen(0, 0);
  core.onOpen(1, 0);
  const input = memory.takePages(INPUT_PAGES);
  for (let i = 0; i < KEYS; i++) {
    const set = Buffer.from(`set ${keyText(i)} 0 0 100\r\n${valueText}\r\n`, 'latin1');
    memory.u8.set(set, input);
    feed(0, [input, input + set.length]);
  }
  while (core.background.runAll() < 5) {
    // The hash table grows to its size before anything is measured.
  }
  const get = store(memory, input, (key) => `get ${key}\r\n`);
  const set = store(memory, memory.takePages(INPUT_PAGES), (key) => `set ${key} 0 0 100\r\n${valueText}\r\n`);
  const binaryAt = memory.takePages(INPUT_PAGES);
  let binaryEnd = binaryAt;
  for (let i = 0; i < BATCH; i++) {
    const key = Buffer.from(keyText((i * STRIDE) % KEYS), 'latin1');
    binaryEnd = binaryGet(memory.u8, binaryEnd, key, 0, KEY_BYTES, i);
  }
  const value = `VALUE ${keyText(0)} 0 100\r\n${valueText}\r\nEND\r\n`;
  return [
    { name: 'Memcached-like get of 100 bytes (ASCII)', run: () => feed(0, get), expected: BATCH * value.length },
    { name: 'Memcached-like set of 100 bytes (ASCII)', run: () => feed(0, set), expected: BATCH * 'STORED\r\n'.length },
    {
      name: 'Memcached-like get of 100 bytes (binary)',
      run: () => feed(1, [binaryAt, binaryEnd]),
      expected: BATCH * (24 + 4 + VALUE_BYTES),
    },
  ];
}

function harness(): Micro[] {
  const counts = new LatencyCounts();
  const { scenario } = loadScenario('quickstart').cells[0]!;
  const workload = new Workload(scenario, 'micro', { thread: 0, threads: 1 });
  return [
    {
      name: 'record a latency',
      run: () => {
        counts.reset();
        for (let i = 0; i < BATCH; i++) counts.record(i * 97.3);
        return Math.round(counts.maxUs);
      },
      expected: Math.round((BATCH - 1) * 97.3),
    },
    {
      name: "next operation of quickstart's workload",
      run: () => {
        let keys = 0;
        for (let i = 0; i < BATCH; i++) {
          workload.next();
          keys += workload.keyCount;
        }
        return keys;
      },
      expected: BATCH,
    },
  ];
}

/** @returns the median of each structure's batches. @throws Error when one returns something wrong */
export async function benchMicro(options: MicroOptions): Promise<MicroRow[]> {
  const bench = new Bench({ time: options.timeMs, warmupTime: options.timeMs / 4, throws: true });
  for (const make of [hashes, redis, memcached, harness]) {
    for (const micro of make().filter(({ name }) => name.includes(options.only ?? ''))) {
      const expected = micro.expected ?? micro.run();
      if (expected === 0) throw new Error(`Cannot measure "${micro.name}": it does nothing`);
      bench.add(micro.name, () => {
        const got = micro.run();
        if (got !== expected) throw new Error(`Cannot measure "${micro.name}": it gave ${got}, not ${expected}`);
      });
    }
  }
  await bench.run();
  return bench.tasks.map(({ name, result }) => {
    if (result.state !== 'completed') throw new Error(`Cannot measure "${name}": it ended ${result.state}`);
    const { latency } = result;
    return { name, nsPerOperation: (latency.p50 * 1e6) / BATCH, marginPercent: latency.rme };
  });
}

/** The rows as a markdown table. */
export function microTable(rows: readonly MicroRow[]): string {
  const lines = [
    '| structure | ns an operation (median) | margin | million a second |',
    '| --- | ---: | ---: | ---: |',
  ];
  for (const { name, nsPerOperation, marginPercent } of rows) {
    const rate = (1_000 / nsPerOperation).toFixed(1);
    lines.push(`| ${name} | ${nsPerOperation.toFixed(1)} | ± ${marginPercent.toFixed(1)} % | ${rate} |`);
  }
  return `${lines.join('\n')}\n`;
}
