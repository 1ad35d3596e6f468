/** The figures of DEBUG HTSTATS about a hash table. */
import { dictBucket, dictIsRehashing, dictNext, dictTableSize, dictTableUsed } from './structures/dict-layout.ts';
import type { Heap } from './structures/heap.ts';

/** Chains of this length and longer are counted together. */
const LONGEST_COUNTED = 50;

function tableStats(h: Heap, d: number, table: number): string {
  const title = table === 0 ? 'main hash table' : 'rehashing target';
  const head = `Hash table ${table} stats (${title}):\n`;
  const used = dictTableUsed(h, d, table);
  if (used === 0) return `${head}No stats available for empty dictionaries\n`;
  const size = dictTableSize(h, d, table);
  const chains = new Array<number>(LONGEST_COUNTED).fill(0);
  let slots = 0;
  let longest = 0;
  let counted = 0;
  for (let i = 0; i < size; i++) {
    let length = 0;
    for (let entry = dictBucket(h, d, table, i); entry !== 0; entry = dictNext(h, entry)) length++;
    chains[Math.min(length, LONGEST_COUNTED - 1)]!++;
    if (length === 0) continue;
    slots++;
    counted += length;
    longest = Math.max(longest, length);
  }
  let text =
    `${head} table size: ${size}\n number of elements: ${used}\n different slots: ${slots}\n max chain length: ${longest}\n` +
    ` avg chain length (counted): ${(counted / slots).toFixed(2)}\n avg chain length (computed): ${(used / slots).toFixed(2)}\n` +
    ' Chain length distribution:\n';
  chains.forEach((count, length) => {
    if (count === 0) return;
    const prefix = length === LONGEST_COUNTED - 1 ? '>= ' : '';
    text += `   ${prefix}${length}: ${count} (${((count / size) * 100).toFixed(2)}%)\n`;
  });
  return text;
}

/** @returns the figures of one dict, of both tables while it rehashes */
export function dictStats(h: Heap, d: number): string {
  return tableStats(h, d, 0) + (dictIsRehashing(h, d) ? tableStats(h, d, 1) : '');
}
