/** Recorded traces and made-up streams of keys, for comparisons of hit ratios. Data: ../shared/data/traces (see its README). */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = new URL('../../../shared/data/traces/', import.meta.url);
const CACHE2K_KEY_BYTES = 4;
/** libCacheSim's record: u32 time, u64 id, u32 size, i64 next access. */
const ORACLE_RECORD_BYTES = 24;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Requests for keys, and the size of each key's value. */
export interface Stream {
  /** Small integers from 0. */
  readonly keys: Uint32Array;
  /** By key, in bytes. */
  readonly valueBytes: Uint32Array;
}

/** @returns a file's content, or null where it or the program that unpacks it is missing */
function unpack(program: 'xz' | 'zstd', name: string): Buffer | null {
  const path = fileURLToPath(new URL(name, FOLDER));
  if (!existsSync(path)) return null;
  const { stdout, status } = spawnSync(program, ['-dc', path], { maxBuffer: OUTPUT_BYTES_MAX });
  return status === 0 ? stdout : null;
}

/** Gives any ids small numbers in the order in which they first appear; the largest size seen is a key's size. */
class Numbering {
  readonly #numbers = new Map<string | number, number>();
  readonly #sizes: number[] = [];
  readonly #keys: number[] = [];

  add(id: string | number, bytes: number): void {
    let number = this.#numbers.get(id);
    if (number === undefined) {
      number = this.#sizes.length;
      this.#numbers.set(id, number);
      this.#sizes.push(bytes);
    } else {
      this.#sizes[number] = Math.max(this.#sizes[number]!, bytes);
    }
    this.#keys.push(number);
  }

  stream(): Stream {
    return { keys: Uint32Array.from(this.#keys), valueBytes: Uint32Array.from(this.#sizes) };
  }
}

/** The keys of a trace of the cache2k collection ("web07", "web12", "orm-busy"). @returns null where it or the program xz is missing */
export function cache2kKeys(name: string): Uint32Array | null {
  const bytes = unpack('xz', `cache2k/${name}.trace.xz`);
  if (bytes === null) return null;
  const keys = new Uint32Array(bytes.length / CACHE2K_KEY_BYTES);
  for (let i = 0; i < keys.length; i++) keys[i] = bytes.readUInt32BE(i * CACHE2K_KEY_BYTES);
  return keys;
}

/** The same with small numbers for keys, all values of one size. */
export function cache2kStream(name: string, valueBytes: number, requestsMax = Number.POSITIVE_INFINITY): Stream | null {
  const keys = cache2kKeys(name);
  if (keys === null) return null;
  const numbering = new Numbering();
  for (const key of keys.subarray(0, Math.min(requestsMax, keys.length))) numbering.add(key, valueBytes);
  return numbering.stream();
}

/** Requests to a content delivery network, with their sizes divided by `scale` and cut off at `bytesMax`. */
export function adaptSizeStream(scale: number, bytesMax: number): Stream | null {
  const bytes = unpack('xz', 'adaptsize/adapt_size_request.trace.xz');
  if (bytes === null) return null;
  const numbering = new Numbering();
  for (const line of bytes.toString('latin1').split('\n')) {
    const [, id, size] = line.trim().split(/\s+/);
    if (size !== undefined) numbering.add(id!, Math.min(bytesMax, Math.ceil(Number(size) / scale)));
  }
  return numbering.stream();
}

/** Reads and writes of blocks, with their sizes divided by `scale`. */
export function cloudPhysicsStream(scale: number): Stream | null {
  const bytes = unpack('zstd', 'cloudphysics/cloudPhysicsIO.oracleGeneral.bin.zst');
  if (bytes === null) return null;
  const numbering = new Numbering();
  for (let at = 0; at + ORACLE_RECORD_BYTES <= bytes.length; at += ORACLE_RECORD_BYTES) {
    numbering.add(String(bytes.readBigUInt64LE(at + 4)), Math.ceil(bytes.readUInt32LE(at + 12) / scale));
  }
  return numbering.stream();
}

/** A seeded generator of numbers in [0, 1) (mulberry32). */
function uniform(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Keys by Zipf's law (rank by inversion of the distribution), values of sizes spread evenly over a range. */
export function zipfStream(
  objects: number,
  exponent: number,
  requests: number,
  bytesMin: number,
  bytesMax: number,
  seed: number,
): Stream {
  const random = uniform(seed);
  const sums = new Float64Array(objects);
  let sum = 0;
  for (let rank = 0; rank < objects; rank++) {
    sum += (rank + 1) ** -exponent;
    sums[rank] = sum;
  }
  const valueBytes = Uint32Array.from({ length: objects }, () =>
    Math.floor(bytesMin + random() * (bytesMax - bytesMin + 1)),
  );
  const keys = new Uint32Array(requests);
  for (let i = 0; i < requests; i++) {
    const wanted = random() * sum;
    let low = 0;
    let high = objects - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! > wanted) high = middle;
      else low = middle + 1;
    }
    keys[i] = low;
  }
  return { keys, valueBytes };
}
