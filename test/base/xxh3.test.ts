import { describe, expect, it } from 'vitest';
import { XXH3_BYTES_MAX, xxh3 } from '../../engines/base/xxh3.ts';

/** What libxxhash 0.8.1 says (low 32 bits) of the first n of the bytes 7i + 13, for lengths on all sides of the algorithm's seams. */
const KNOWN: readonly (readonly [length: number, hash: number])[] = [
  [0, 0x38d394c2],
  [1, 0x1538b1c0],
  [2, 0x1e9ceea7],
  [3, 0x1ad24e4b],
  [4, 0xcc1bfd24],
  [5, 0xa63bec5a],
  [7, 0xdd3799d8],
  [8, 0x621686c2],
  [9, 0x6eee1a29],
  [12, 0x3ea3e76a],
  [15, 0xfaad9bd1],
  [16, 0x0382fb28],
  [17, 0xea363493],
  [24, 0xcfad87e4],
  [31, 0x7b9dd07a],
  [32, 0x2e59e552],
  [33, 0xbbd87087],
  [48, 0x7a9faa09],
  [64, 0x06c2031b],
  [65, 0xe9d04f75],
  [96, 0x4d830ab0],
  [97, 0xab7bf154],
  [127, 0x448e4e17],
  [128, 0xff901dc3],
  [129, 0x22a25af7],
  [143, 0x493f9e8b],
  [144, 0x74e299ec],
  [160, 0x7bd2ab03],
  [200, 0x557617cc],
  [239, 0x1a52c3c7],
  [240, 0xf68efc13],
  [241, 0x6c6a6ea6],
  [245, 0xcb1dc631],
  [250, 0x38584158],
  [255, 0x3864e03e],
  [256, 0x7ac1383e],
];

describe('XXH3', () => {
  const viewOf = (u8: Uint8Array): DataView => new DataView(u8.buffer);
  const bytes = Uint8Array.from({ length: XXH3_BYTES_MAX + 8 }, (_, i) => (i * 7 + 13) & 255);

  it.each(KNOWN)('hashes %i bytes as the reference does', (length, hash) => {
    expect(xxh3(viewOf(bytes), 0, length) >>> 0).toBe(hash);
  });

  it('does not depend on where the bytes lie, nor on what lies beside them', () => {
    const moved = new Uint8Array(bytes.length + 5).fill(255);
    for (let length = 0; length <= XXH3_BYTES_MAX; length++) {
      moved.set(bytes.subarray(0, length), 3);
      expect(xxh3(viewOf(moved), 3, length)).toBe(xxh3(viewOf(bytes), 0, length));
      moved.fill(255);
    }
  });
});
