/** Streams of operations that are not a scenario's: the storing of a data set, and probes of one kind. */
import type { Random } from '../../engines/ports.ts';
import { OP_GET, OP_SET } from '../workload/operation.ts';
import { checkValue, writeValue } from '../workload/value.ts';
import type { Preload } from '../workload/workload.ts';
import type { KeyValueWriter } from './codec.ts';
import type { OperationSource } from './raw-driver.ts';

/**
 * Sets of the keys to store before a run: this thread's share of them. The least popular of them comes first, so that a cache that cannot
 * hold them all drops those, as it would have in the long run; the other way round an LRU would drop the most popular ones.
 */
export class PreloadSource implements OperationSource {
  kind = OP_SET;
  keyCount = 1;
  readonly keyIndexes = new Uint32Array(1);
  valueBytes = 0;
  ttlSeconds = 0;
  version = 0;
  readonly dataset: KeyValueWriter;
  /** How many keys are this thread's. */
  readonly count: number;
  private readonly preload: Preload;
  private readonly step: number;
  private at: number;

  constructor(preload: Preload, thread: number, threads: number) {
    this.preload = preload;
    this.dataset = preload.dataset;
    this.count = Math.max(0, Math.ceil((preload.count - thread) / threads));
    this.step = threads;
    this.at = thread + (this.count - 1) * threads;
  }

  next(): void {
    const index = this.preload.indexAt(this.at);
    this.at -= this.step;
    this.keyIndexes[0] = index;
    this.valueBytes = this.preload.dataset.valueBytesOf(index);
    this.ttlSeconds = this.preload.ttlSeconds();
  }

  fillTtlSeconds(): number {
    return 0;
  }
}

/** Keys "key:000000000042", as redis-benchmark names them, and values of one size. */
class ProbeData implements KeyValueWriter {
  private readonly bytes: number;
  private readonly valueBytes: number;

  constructor(keyBytes: number, valueBytes: number) {
    this.bytes = keyBytes;
    this.valueBytes = valueBytes;
  }

  keyLength(): number {
    return this.bytes;
  }

  valueBytesOf(): number {
    return this.valueBytes;
  }

  writeKey(u8: Uint8Array, offset: number, index: number): number {
    u8[offset] = 107;
    u8[offset + 1] = 101;
    u8[offset + 2] = 121;
    u8[offset + 3] = 58;
    for (let i = offset + this.bytes - 1; i > offset + 3; i--) {
      const tens = Math.floor(index / 10);
      u8[i] = 48 + index - 10 * tens;
      index = tens;
    }
    return offset + this.bytes;
  }

  writeValue(u8: Uint8Array, offset: number, index: number, bytes: number, version: number): number {
    return writeValue(u8, offset, index, bytes, version);
  }

  checkValue(u8: Uint8Array, offset: number, bytes: number, index: number): boolean {
    return checkValue(u8, offset, bytes, index);
  }
}

/** One kind of operation over uniformly random keys. */
export class ProbeSource implements OperationSource {
  kind: number;
  keyCount = 1;
  readonly keyIndexes = new Uint32Array(1);
  valueBytes: number;
  ttlSeconds = 0;
  version = 0;
  readonly dataset: KeyValueWriter;
  private readonly keys: number;
  private readonly random: Random;

  constructor(operation: 'get' | 'set', keys: number, keyBytes: number, valueBytes: number, random: Random) {
    this.kind = operation === 'get' ? OP_GET : OP_SET;
    this.valueBytes = operation === 'get' ? 0 : valueBytes;
    this.keys = keys;
    this.random = random;
    this.dataset = new ProbeData(keyBytes, valueBytes);
  }

  next(): void {
    this.keyIndexes[0] = this.random.nextBelow(this.keys);
    this.version++;
  }

  fillTtlSeconds(): number {
    return 0;
  }
}
