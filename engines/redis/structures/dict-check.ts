/** The deep check of a dict. */
import {
  dictBucket,
  dictEntryHash,
  dictIsRehashing,
  dictKey,
  dictNext,
  dictRehashIndex,
  dictTableSize,
  dictTableUsed,
} from './dict-layout.ts';
import type { Heap } from './heap.ts';
import { keyHash } from './key-hash.ts';
import { sdsLen } from './sds.ts';

/**
 * Checks a dict's invariants by walking all of it: counts, chains in their right buckets, no key twice in a chain.
 * @throws Error naming what is broken
 */
export function dictVerify(h: Heap, d: number): void {
  const rehashing = dictIsRehashing(h, d);
  if (!rehashing && (dictTableSize(h, d, 1) !== 0 || dictTableUsed(h, d, 1) !== 0)) {
    throw new Error(`Broken dict at ${d}: a second table while not rehashing`);
  }
  for (let table = 0; table < 2; table++) {
    const size = dictTableSize(h, d, table);
    let entries = 0;
    for (let index = 0; index < size; index++) {
      const emptied = table === 0 && rehashing && index < dictRehashIndex(h, d);
      for (let entry = dictBucket(h, d, table, index); entry !== 0; entry = dictNext(h, entry)) {
        if (emptied) throw new Error(`Broken dict at ${d}: bucket ${index} below the rehash index is not empty`);
        const key = dictKey(h, entry);
        const length = sdsLen(h, key);
        const hash = keyHash(h.u8, h.view, key, length, h.hashKey);
        if (dictEntryHash(h, entry) !== hash) {
          throw new Error(`Broken dict at ${d}: the entry at ${entry} does not hold its key's hash`);
        }
        if ((hash & (size - 1)) !== index) {
          throw new Error(
            `Broken dict at ${d}: the entry at ${entry} is in bucket ${index} of table ${table} by mistake`,
          );
        }
        for (let other = dictNext(h, entry); other !== 0; other = dictNext(h, other)) {
          const otherKey = dictKey(h, other);
          if (sdsLen(h, otherKey) === length && h.equal(key, otherKey, length)) {
            throw new Error(`Broken dict at ${d}: a key stands twice in bucket ${index}`);
          }
        }
        entries++;
      }
    }
    if (entries !== dictTableUsed(h, d, table)) {
      throw new Error(
        `Broken dict at ${d}: table ${table} holds ${entries} entries and says ${dictTableUsed(h, d, table)}`,
      );
    }
  }
}
