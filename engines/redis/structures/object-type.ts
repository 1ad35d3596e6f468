/**
 * What the rest of the server asks of a value without knowing its type: one object of this shape for each type, found by
 * `h.types[type]`. New types are added in types/.
 */
import type { RdbReader } from '../persistence/rdb-reader.ts';
import type { RdbWriter } from '../persistence/rdb-writer.ts';
import type { Digest } from './digest.ts';
import type { Heap } from './heap.ts';

export interface ObjectType {
  /** As TYPE calls it: "list". */
  readonly name: string;
  /** Frees what the object points to; the object itself is freed by the caller. */
  free(h: Heap, o: number): void;
  /** Deep check. @throws Error naming what is broken */
  verify(h: Heap, o: number): void;
  /** As OBJECT ENCODING calls it. */
  encodingName(h: Heap, o: number): string;
  /** Number of elements; of a string its bytes. */
  length(h: Heap, o: number): number;
  /** Number of allocations that freeing takes, as lazyfreeGetFreeEffort reckons it: above 64 it is done in slices. */
  freeEffort(h: Heap, o: number): number;
  /**
   * Bytes of the value as MEMORY USAGE reckons them, the object's 16 included, key and dict entry not.
   * @param samples elements looked at where not all are; Infinity: all
   */
  memoryUsage(h: Heap, o: number, samples: number): number;
  /** A new object with the same value and encoding, sharing nothing. @throws ARENA_EXHAUSTED, nothing leaked */
  duplicate(h: Heap, o: number): number;
  /** The type byte that the value has in snapshot files and DUMP payloads. */
  rdbType(h: Heap, o: number): number;
  /** Writes the value behind its type byte. @throws ARENA_EXHAUSTED */
  saveRdb(w: RdbWriter, o: number): void;
  /** The type bytes that loadRdb reads: older encodings too. */
  readonly rdbTypes: readonly number[];
  /**
   * Makes an object of a value's bytes, which may be anyone's: everything is checked.
   * @returns a new object, or 0 when the bytes are broken (nothing is left allocated)
   * @throws ARENA_EXHAUSTED, nothing leaked
   */
  loadRdb(r: RdbReader, rdbType: number): number;
  /** What DEBUG OBJECT says beyond what it says of any value; begins with a blank. */
  debugFields?(h: Heap, o: number): string;
  /** Adds the value to a digest, as DEBUG DIGEST does behind the type. */
  mixDigest(h: Heap, o: number, digest: Digest): void;
}
