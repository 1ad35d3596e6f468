/**
 * The stream of operations of one driver thread: what to do, to which key, with how many bytes. The stream follows from
 * (scenario, seed, thread, threads) alone; nothing in it depends on time or on answers, so two targets are asked the same.
 *
 * Two seeds: the scenario's own fixes the *data* (which keys are hot, each key's size), the run's fixes the *draws*. So repetitions differ
 * while they talk about the same data set.
 *
 * `next()` allocates nothing: it fills the fields of this object.
 */
import { createRandom } from '../../engines/base/random.ts';
import type { Random } from '../../engines/ports.ts';
import type { Scenario } from '../../scenarios/spec.ts';
import { AliasTable } from './alias.ts';
import { KeyWriter } from './keys.ts';
import {
  OP_ADD,
  OP_APPEND,
  OP_INCR,
  OP_MGET,
  OP_MSET,
  OP_REPLACE,
  OP_SET,
  OP_TOUCH,
  operationCode,
} from './operation.ts';
import { createPopularity, type Popularity, type ThreadShare } from './popularity.ts';
import { createSize, type SizeDistribution } from './size.ts';
import { createTtl, type TtlDistribution } from './ttl.ts';
import {
  APPEND_BYTES,
  COUNTER_BYTES,
  checkAppendedValue,
  checkCounter,
  checkValue,
  writeCounter,
  writeValue,
} from './value.ts';

/** Sizes of up to so many keys are remembered once computed (4 bytes each); beyond, they are computed each time. */
const MAX_REMEMBERED_SIZES = 2 ** 22;

/** Multiplies a key index into 53 uniform bits: the fixed draw that gives each key its size. */
class KeyDraw {
  readonly #a: number;
  readonly #b: number;
  constructor(seed: string) {
    const random = createRandom(seed);
    this.#a = random.nextU32() | 0;
    this.#b = random.nextU32() | 0;
  }
  uniform(index: number): number {
    return ((KeyDraw.#mix(index ^ this.#a) >>> 5) * 67_108_864 + (KeyDraw.#mix(index ^ this.#b) >>> 6)) / 2 ** 53;
  }
  static #mix(x: number): number {
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
    x = Math.imul(x ^ (x >>> 16), 0x9e3779b1);
    return x ^ (x >>> 15);
  }
}

/** What can be said about keys and values without drawing operations. */
export class Dataset {
  /**
   * Indexes run from 0 to `indexes - 1`. That is the scenario's number of keys, and twice that where `incr` stands in the mix beside
   * operations on other values: the upper half are counters then (an incr on another value would only be an error).
   */
  readonly indexes: number;
  /** First index that is a counter; `indexes` where there are none. */
  readonly firstCounter: number;
  /** Largest value in bytes. */
  readonly maxValueBytes: number;
  readonly #keys: KeyWriter;
  readonly #size: SizeDistribution;
  readonly #fixedBytes: number;
  readonly #draw: KeyDraw;
  readonly #remembered: Uint32Array | null;
  readonly #appends: boolean;

  constructor(scenario: Scenario) {
    const { keys, keyPrefix, keyBytes, valueSize } = scenario.dataset;
    const weights = scenario.kind === 'load' ? scenario.mix.filter((entry) => entry.weight > 0) : [];
    const counters = weights.some((entry) => entry.operation === 'incr');
    const others = weights.some((entry) => entry.operation !== 'incr');
    this.firstCounter = counters ? (others ? keys : 0) : keys;
    this.indexes = counters && others ? 2 * keys : keys;
    this.#keys = new KeyWriter(keyPrefix, keyBytes, this.indexes);
    this.#size = createSize(valueSize);
    this.#fixedBytes = this.#size.min === this.#size.max ? this.#size.min : -1;
    this.#draw = new KeyDraw(`${scenario.seed}/sizes`);
    const costly = valueSize.kind === 'log-normal' || valueSize.kind === 'generalized-pareto';
    this.#remembered = costly && keys <= MAX_REMEMBERED_SIZES ? new Uint32Array(keys) : null;
    this.#appends = weights.some((entry) => entry.operation === 'append');
    this.maxValueBytes = counters ? Math.max(COUNTER_BYTES, this.#size.max) : this.#size.max;
  }

  isCounter(index: number): boolean {
    return index >= this.firstCounter;
  }

  /** Length in bytes of a key. */
  keyLength(index: number): number {
    return this.#keys.length(index);
  }

  /** Writes a key. @returns the offset after its last byte */
  writeKey(u8: Uint8Array, offset: number, index: number): number {
    return this.#keys.write(u8, offset, index);
  }

  /** Size in bytes of a key's value when stored: the same in every run and for every target. */
  valueBytesOf(index: number): number {
    if (index >= this.firstCounter) return COUNTER_BYTES;
    if (this.#fixedBytes >= 0) return this.#fixedBytes;
    const remembered = this.#remembered;
    if (remembered === null) return this.#size.at(this.#draw.uniform(index));
    // 0 stands for "not computed", so sizes are kept plus one.
    if (remembered[index] === 0) remembered[index] = this.#size.at(this.#draw.uniform(index)) + 1;
    return remembered[index] - 1;
  }

  /**
   * Writes a value for a key (an append's piece too: `bytes` is then what `next` said).
   * @param version anything that differs between two stores of one key
   * @returns the offset after its last byte
   */
  writeValue(u8: Uint8Array, offset: number, index: number, bytes: number, version: number): number {
    return index >= this.firstCounter ? writeCounter(u8, offset, index) : writeValue(u8, offset, index, bytes, version);
  }

  /** @returns whether these bytes of a reply are a value of this key, whole and unchanged */
  checkValue(u8: Uint8Array, offset: number, bytes: number, index: number): boolean {
    if (index >= this.firstCounter) return checkCounter(u8, offset, bytes);
    return this.#appends ? checkAppendedValue(u8, offset, bytes, index) : checkValue(u8, offset, bytes, index);
  }
}

export class Workload {
  /** Kind of the present operation: OP_GET … OP_MSET. */
  kind = 0;
  /** Its key (the first one of several). */
  keyIndex = 0;
  /** Its keys, where it is mget or mset (they may repeat); otherwise 1 and the one key. */
  keyCount = 1;
  readonly keyIndexes: Uint32Array;
  /** Bytes to store with set, add, replace, append; for mset ask `dataset.valueBytesOf` per key. 0 otherwise. */
  valueBytes = 0;
  /** Seconds to live with set, add, replace, mset, touch; 0: no expiry. */
  ttlSeconds = 0;
  /** Differs with each operation of the run, over all threads (modulo 2^32): what to pass to `writeValue`. */
  version = 0;

  readonly dataset: Dataset;
  readonly #mix: AliasTable;
  readonly #codes: Uint8Array;
  readonly #popularity: Popularity;
  readonly #ttl: TtlDistribution;
  readonly #random: Random;
  readonly #fillRandom: Random;
  readonly #multiKey: number;
  readonly #versionStep: number;
  readonly #shifted: number;

  constructor(scenario: Scenario, seed: string, share: ThreadShare) {
    const stream = `${seed}/thread ${share.thread} of ${share.threads}`;
    this.dataset = new Dataset(scenario);
    this.#random = createRandom(`${stream}/mix`);
    this.#fillRandom = createRandom(`${stream}/fill`);
    this.#mix = new AliasTable(scenario.mix.map((entry) => entry.weight));
    this.#codes = Uint8Array.from(scenario.mix, (entry) => operationCode(entry.operation));
    const draws = createRandom(`${stream}/keys`);
    this.#popularity = createPopularity(scenario.popularity, scenario.dataset.keys, scenario.seed, draws, share);
    this.#ttl = createTtl(scenario.ttl);
    this.#multiKey = scenario.multiKey;
    this.keyIndexes = new Uint32Array(Math.max(1, scenario.multiKey));
    this.version = share.thread;
    this.#versionStep = share.threads;
    this.#shifted = this.dataset.firstCounter < this.dataset.indexes ? this.dataset.firstCounter : 0;
  }

  /** Draws the next operation into the fields of this object. */
  next(): void {
    const kind = this.#codes[this.#mix.pick(this.#random.nextFloat())];
    this.kind = kind;
    this.version = (this.version + this.#versionStep) >>> 0;
    this.valueBytes = 0;
    this.ttlSeconds = 0;
    if (kind === OP_MGET || kind === OP_MSET) {
      this.#nextKeys(kind === OP_MSET);
      return;
    }
    const stores = kind === OP_SET || kind === OP_ADD || kind === OP_REPLACE;
    let index = this.#popularity.next(stores);
    if (kind === OP_INCR) index += this.#shifted;
    this.keyIndex = index;
    this.keyIndexes[0] = index;
    this.keyCount = 1;
    if (stores) {
      this.valueBytes = this.dataset.valueBytesOf(index);
      this.ttlSeconds = this.#ttl.next(this.#random);
    } else if (kind === OP_APPEND) {
      this.valueBytes = APPEND_BYTES;
    } else if (kind === OP_TOUCH) {
      this.ttlSeconds = this.#ttl.next(this.#random);
    }
  }

  /**
   * A time to live in seconds for filling a missed key. Fills follow answers, so they have random numbers of their own: the stream of
   * operations stays the same however many there are.
   */
  fillTtlSeconds(): number {
    return this.#ttl.next(this.#fillRandom);
  }

  /** The key index that preload stores at place `i` (0 is the most popular). With counters beside data, ask `preloadIndex`. */
  keyAt(i: number): number {
    return this.#popularity.keyAt(i);
  }

  /** Expected share of accesses to the first `count` keys in the order of popularity. */
  headShare(count: number): number {
    return this.#popularity.headShare(count);
  }

  #nextKeys(writes: boolean): void {
    for (let i = 0; i < this.#multiKey; i++) this.keyIndexes[i] = this.#popularity.next(writes);
    this.keyIndex = this.keyIndexes[0];
    this.keyCount = this.#multiKey;
    if (writes) this.ttlSeconds = this.#ttl.next(this.#random);
  }
}

/**
 * @param scenario one cell of the matrix
 * @param seed the run's seed (each repetition has its own, derived from the scenario's)
 * @param share which of the driver's threads this is
 */
export function createWorkload(
  scenario: Scenario,
  seed: string,
  share: ThreadShare = { thread: 0, threads: 1 },
): Workload {
  return new Workload(scenario, seed, share);
}

/**
 * The keys to store before a run, most popular first: for i from 0 (or a thread's number, in steps of the threads) to `count - 1`, store
 * `indexAt(i)`. Counters of a mix with incr stand between the data keys of the same popularity.
 */
export class Preload {
  readonly count: number;
  readonly dataset: Dataset;
  readonly #popularity: Popularity;
  readonly #ttl: TtlDistribution;
  readonly #random: Random;
  readonly #paired: boolean;

  /** @param seed the run's seed: TTLs of preloaded keys follow from it */
  constructor(scenario: Scenario, seed: string, share: ThreadShare = { thread: 0, threads: 1 }) {
    this.dataset = new Dataset(scenario);
    this.#paired = this.dataset.indexes > scenario.dataset.keys;
    this.#random = createRandom(`${seed}/preload ${share.thread} of ${share.threads}`);
    this.#popularity = createPopularity(scenario.popularity, scenario.dataset.keys, scenario.seed, this.#random);
    this.#ttl = createTtl(scenario.ttl);
    const keys = Math.round(scenario.dataset.keys * scenario.dataset.preload);
    this.count = this.#paired ? 2 * keys : keys;
  }

  indexAt(i: number): number {
    if (!this.#paired) return this.#popularity.keyAt(i);
    const index = this.#popularity.keyAt(i >>> 1);
    return i % 2 === 0 ? index : this.dataset.firstCounter + index;
  }

  /** Seconds to live of the next stored key; 0: no expiry. */
  ttlSeconds(): number {
    return this.#ttl.next(this.#random);
  }
}
