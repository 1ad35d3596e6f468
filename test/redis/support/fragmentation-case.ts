/**
 * The seeded case of fragmentation that was measured on the real server: fill with values of 150 bytes to 98.5 % of 200 MiB, delete a
 * random half, refill with 200 to 3,000 bytes, go on past the limit so that keys are evicted, delete half of the rest, defragment.
 * The engine runs in this process under a clock of the test's own.
 */
import type { AllocatorStats } from '../../../engines/memory/allocator-stats.ts';
import type { ClassTableName } from '../../../engines/memory/size-classes.ts';
import { POLICY_ALLKEYS_LRU } from '../../../engines/redis/config.ts';
import { encodeCommand } from '../../support/resp-client.ts';
import { Loopback } from './loopback.ts';

const LIMIT_BYTES = 200 * 1024 * 1024;
const SERVER_BYTES = 690_000;
const ARENA_BYTES = 640 * 1024 * 1024;
const SEED = 12_345;
const SMALL_BYTES = 150;
const LARGE_BYTES_MIN = 200;
const LARGE_SPREAD = 2_801;
const FILL_SHARE = 0.985;
const REFILL_SHARES = [0.7, 0.85, 0.985];
const EVICTING = 60_000;
/** Keys of the refill are numbered from here on. */
const REFILL_FROM = 1e9;
const KEYS_PER_DEL = 100;
const COMMANDS_PER_FEED = 200;
/** The real server took about so many commands a millisecond. */
const COMMANDS_PER_MS = 60;
const CRON_MS = 100;
/** About what a batch of rehashing takes between two looks at the clock. */
const READING_US = 20;
/** As the measurement waited before it looked, and for dirty pages to go back. */
const LOOK_MS = 600;
const DECAY_MS = 12_000;
const DEFRAG_SECONDS = [1, 2, 4, 6, 10, 15];

export interface FragmentationPhase {
  readonly phase: string;
  readonly keys: number;
  readonly used: number;
  readonly stats: AllocatorStats;
}

/** mulberry32. */
function generator(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const keyName = (i: number): string => `key:${String(i).padStart(12, '0')}`;

export class FragmentationCase {
  readonly lab: Loopback;
  readonly phases: FragmentationPhase[] = [];
  private readonly random = generator(SEED);
  private readonly large = Buffer.alloc(LARGE_BYTES_MIN + LARGE_SPREAD, 'y');
  private parts: Buffer[] = [];
  private sinceCron = 0;
  private refilled = 0;

  constructor(allocator: ClassTableName) {
    this.lab = new Loopback(
      ARENA_BYTES,
      (config) => {
        config.maxmemory = LIMIT_BYTES;
        config.maxmemoryPolicy = POLICY_ALLKEYS_LRU;
      },
      1,
      allocator,
    );
    // What a whole server has allocated before the first key, beyond this core without sockets.
    this.lab.allocator.alloc(SERVER_BYTES);
    this.lab.readingUs = READING_US;
    this.lab.open(0);
  }

  /** Lets time pass, with crons. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= CRON_MS) {
      this.lab.nowMs += CRON_MS;
      this.lab.core.cron();
      this.lab.allocator.tick();
    }
  }

  private send(args: (string | number | Uint8Array)[]): void {
    this.parts.push(encodeCommand(args));
    if (this.parts.length >= COMMANDS_PER_FEED) this.flush();
  }

  private flush(): void {
    this.lab.feed(0, Buffer.concat(this.parts));
    this.lab.take(0);
    const ms = Math.ceil(this.parts.length / COMMANDS_PER_MS);
    this.lab.nowMs += ms;
    this.sinceCron += ms;
    if (this.sinceCron >= CRON_MS) {
      this.sinceCron = 0;
      this.lab.core.cron();
      this.lab.allocator.tick();
    }
    this.parts = [];
  }

  private look(phase: string): void {
    if (this.parts.length > 0) this.flush();
    this.pass(LOOK_MS);
    const { lab } = this;
    const keys = Number(lab.command(0, 'DBSIZE'));
    this.phases.push({ phase, keys, used: lab.allocator.usedBytes, stats: lab.allocator.stats() });
  }

  /** Deletes each key with a chance of one half. */
  private deleteHalf(keys: Iterable<string>): void {
    let batch: string[] = [];
    for (const key of keys) {
      if (this.random() >= 0.5) continue;
      batch.push(key);
      if (batch.length < KEYS_PER_DEL) continue;
      this.send(['DEL', ...batch]);
      batch = [];
    }
    if (batch.length > 0) this.send(['DEL', ...batch]);
  }

  private refill(count: number): void {
    for (let i = 0; i < count; i++) {
      const value = this.large.subarray(0, LARGE_BYTES_MIN + Math.floor(this.random() * LARGE_SPREAD));
      this.send(['SET', keyName(REFILL_FROM + this.refilled++), value]);
    }
    if (this.parts.length > 0) this.flush();
  }

  fillAndHalve(): void {
    const { lab } = this;
    this.look('start');
    const small = Buffer.alloc(SMALL_BYTES, 'x');
    let filled = 0;
    for (;;) {
      const left = LIMIT_BYTES * FILL_SHARE - lab.allocator.usedBytes;
      if (left < 0) break;
      const count = Math.min(20_000, Math.max(500, Math.floor(left / 300)));
      for (let i = 0; i < count; i++) this.send(['SET', keyName(filled++), small]);
      if (this.parts.length > 0) this.flush();
    }
    this.look('fill150');
    this.deleteHalf(Array.from({ length: filled }, (_, i) => keyName(i)));
    this.look('deleted_half');
    this.pass(DECAY_MS);
    this.look('deleted_half_+12s');
  }

  refillAndEvict(): void {
    const { lab } = this;
    for (const share of REFILL_SHARES) {
      for (;;) {
        const left = LIMIT_BYTES * share - lab.allocator.usedBytes;
        if (left < 0) break;
        this.refill(Math.min(3_000, Math.max(50, Math.floor(left / 2_500))));
      }
      this.look(`refill_${share}`);
    }
    this.refill(EVICTING);
    this.look('evict_60k');
    this.pass(DECAY_MS);
    this.look('evict_60k_+12s');
    lab.allocator.purgeAll();
    this.look('after_purge');
  }

  halveAgain(): void {
    const { lab } = this;
    const keys: string[] = [];
    let cursor = '0';
    do {
      const [next, some] = lab.command(0, 'SCAN', cursor, 'COUNT', '1000') as [string, string[]];
      keys.push(...some);
      cursor = next;
    } while (cursor !== '0');
    keys.sort();
    this.deleteHalf(keys);
    this.look('deleted_half_again');
  }

  /** Defragments as the measurement did, looking after so many seconds. */
  defragment(): void {
    const { lab } = this;
    const { core, allocator } = lab;
    core.defrag.figures = () => allocator.stats();
    core.config.activedefrag = true;
    core.config.activeDefragIgnoreBytes = 1024 * 1024;
    core.config.activeDefragThresholdLower = 5;
    core.config.activeDefragCycleMin = 10;
    core.config.activeDefragCycleMax = 50;
    core.applyConfig();
    let passed = 0;
    for (const seconds of DEFRAG_SECONDS) {
      this.pass(seconds * 1000 - passed - LOOK_MS);
      this.look(`defrag_${seconds}s`);
      passed = seconds * 1000;
    }
    allocator.purgeAll();
    this.look('end_purge');
  }
}
