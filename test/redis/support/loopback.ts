/** A core without sockets: a transport over plain arrays, driven call by call, with a clock that stands still unless it is moved. */

import { createRandom } from '../../../engines/base/random.ts';
import { Unconnected } from '../../../engines/base/unconnected.ts';
import { createArena } from '../../../engines/memory/arena.ts';
import { createJemalloc, type Jemalloc } from '../../../engines/memory/jemalloc.ts';
import type { ClassTableName } from '../../../engines/memory/size-classes.ts';
import type { Disk, Memory, Transport } from '../../../engines/ports.ts';
import { clientFootprint } from '../../../engines/redis/client-memory.ts';
import { defaultConfig, type RedisConfig } from '../../../engines/redis/config.ts';
import { createRedisCore, type RedisCore } from '../../../engines/redis/redis-core.ts';
import { createCommandTable } from '../../../engines/redis/registry.ts';
import { encodeCommand, parseReply, type RespValue } from '../../support/resp-client.ts';

const INPUT_PAGES = 64;
const OUTPUT_PAGES = 16;
const PAGE_BYTES = 4096;

interface Direct {
  offset: number;
  left: number;
}

export class LoopbackTransport extends Unconnected implements Transport {
  readonly memory: Memory;
  /** What the core has said to each connection. */
  readonly output = new Map<number, Buffer[]>();
  readonly closed = new Set<number>();
  readonly leases: number[] = [];
  readonly directs = new Map<number, Direct>();
  private readonly room: number;

  constructor(memory: Memory) {
    super();
    this.memory = memory;
    this.room = memory.takePages(OUTPUT_PAGES);
  }
  private push(conn: number, from: number, to: number): void {
    const all = this.output.get(conn) ?? [];
    all.push(Buffer.from(this.memory.u8.slice(from, to)));
    this.output.set(conn, all);
  }
  reserve(_conn: number, bytes: number): number {
    if (bytes > OUTPUT_PAGES * PAGE_BYTES) throw new Error(`too much at once: ${bytes}`);
    return this.room;
  }
  commit(conn: number, end: number): void {
    this.push(conn, this.room, end);
  }
  lend(conn: number, offset: number, length: number, lease: number): void {
    this.push(conn, offset, offset + length);
    this.leases.push(lease);
  }
  override readInto(conn: number, offset: number, length: number): void {
    this.directs.set(conn, { offset, left: length });
  }
  override close(conn: number): void {
    this.closed.add(conn);
  }
  override peerName(): string {
    return '127.0.0.1:1';
  }
  override localName(): string {
    return '127.0.0.1:2';
  }
}

export class Loopback {
  readonly memory: Memory;
  readonly allocator: Jemalloc;
  readonly transport: LoopbackTransport;
  readonly core: RedisCore;
  /** Wall-clock time in ms; the monotonic clock follows it and ticks a little at each reading. */
  nowMs = 1_700_000_000_000;
  /** What each reading of the monotonic clock adds to it, in µs: work that watches the clock then ends some time. */
  readingUs = 0;
  private readUs = 0;
  private ticks = 0;
  private readonly input: number;
  private readonly kept = new Map<number, Buffer>();

  constructor(
    arenaBytes: number,
    configure: (config: RedisConfig) => void = () => {},
    seed: number | string = 1,
    classes: ClassTableName = 'debian',
    disk: Disk | null = null,
  ) {
    this.memory = createArena({ byteLength: arenaBytes });
    const clock = {
      wallMs: () => this.nowMs,
      monoUs: () => (this.nowMs - 1_600_000_000_000) * 1000 + (this.ticks++ % 1000) / 1000 + this.passedUs(),
    };
    this.allocator = createJemalloc(this.memory, { classes, clock });
    this.transport = new LoopbackTransport(this.memory);
    this.input = this.memory.takePages(INPUT_PAGES);
    const config = defaultConfig();
    configure(config);
    this.core = createRedisCore({
      allocator: this.allocator,
      transport: this.transport,
      clock,
      random: createRandom(seed),
      disk,
      config,
      commands: createCommandTable(),
      log: () => {},
      host: { pid: 1, tcpPort: 0, eventLoop: 'loopback', executable: '', configFile: '', os: '' },
    });
  }

  private passedUs(): number {
    this.readUs += this.readingUs;
    return this.readUs;
  }

  open(conn: number): void {
    this.core.onOpen(conn, 0);
    // Nothing to read yet: it makes the client's query buffer, so that memory counted from here on is that of the data.
    this.core.onInput(conn, this.input, this.input);
  }

  /** Hands bytes to the core as a loop would: kept input first, direct reads where they are asked for. */
  feed(conn: number, bytes: Uint8Array): void {
    let rest = Buffer.from(bytes);
    while (rest.length > 0 && !this.transport.closed.has(conn)) {
      const direct = this.transport.directs.get(conn);
      if (direct !== undefined) {
        const part = rest.subarray(0, direct.left);
        this.memory.u8.set(part, direct.offset);
        direct.offset += part.length;
        direct.left -= part.length;
        rest = rest.subarray(part.length);
        if (direct.left > 0) return;
        this.transport.directs.delete(conn);
        this.core.onDirect(conn);
        continue;
      }
      const kept = this.kept.get(conn) ?? Buffer.alloc(0);
      const part = rest.subarray(0, INPUT_PAGES * PAGE_BYTES - kept.length);
      if (part.length === 0) throw new Error('input buffer full');
      rest = rest.subarray(part.length);
      const all = Buffer.concat([kept, part]);
      // Where the input lies changes from call to call.
      const at = this.input + ((this.ticks * 7) % Math.max(1, INPUT_PAGES * PAGE_BYTES - all.length));
      this.memory.u8.set(all, at);
      const next = this.core.onInput(conn, at, at + all.length);
      this.kept.set(conn, Buffer.from(all.subarray(next - at)));
    }
    this.core.onTurn();
    for (const lease of this.transport.leases.splice(0)) this.core.onReleased(lease);
  }

  /** What has been said to a connection since the last call. */
  take(conn: number): Buffer {
    const all = Buffer.concat(this.transport.output.get(conn) ?? []);
    this.transport.output.delete(conn);
    return all;
  }

  /** Runs one command and returns its reply. */
  command(conn: number, ...args: (string | number)[]): RespValue {
    this.feed(conn, encodeCommand(args));
    return parseReply(this.take(conn), 0)!.value;
  }

  /** Runs commands without looking at their replies. */
  run(conn: number, count: number, args: (i: number) => (string | number)[], batch = 100): void {
    for (let from = 0; from < count; from += batch) {
      const parts: Buffer[] = [];
      for (let i = from; i < Math.min(count, from + batch); i++) parts.push(encodeCommand(args(i)));
      this.feed(conn, Buffer.concat(parts));
      this.take(conn);
    }
  }

  /** Used memory without what stands for the clients' records and buffers. */
  get dataBytes(): number {
    let bytes = this.allocator.usedBytes;
    for (const c of this.core.clients) if (c !== null) bytes -= clientFootprint(this.core, c);
    return bytes;
  }

  /** Runs the cron until nothing is left to rehash. */
  settle(): void {
    for (let i = 0; i < 200; i++) this.core.cron();
  }
}
