/** A heap of its own for tests of structures. */
import { createRandom } from '../../../engines/base/random.ts';
import { createArena } from '../../../engines/memory/arena.ts';
import { createJemalloc } from '../../../engines/memory/jemalloc.ts';
import type { Random } from '../../../engines/ports.ts';
import { Heap } from '../../../engines/redis/structures/heap.ts';

const ARENA_BYTES = 64 * 1024 * 1024;
const TEXT_BYTES = 1024 * 1024;

/** `put` stores a latin1 text (up to 1 MiB) where the next call overwrites it. */
export function structureLab(seed: string, classes: 'debian' | 'upstream' = 'debian') {
  const memory = createArena({ byteLength: ARENA_BYTES });
  const allocator = createJemalloc(memory, { classes });
  const heap = new Heap(allocator, createRandom(seed));
  const text = memory.takePages(TEXT_BYTES / 4096);
  const put = (value: string): number => {
    heap.putLatin1(value, text);
    return text;
  };
  return { memory, allocator, heap, put };
}

const INTEGER_EDGES = [
  0n,
  127n,
  128n,
  -1n,
  4095n,
  4096n,
  -4096n,
  -4097n,
  32_767n,
  32_768n,
  -32_768n,
  -32_769n,
  8_388_607n,
  8_388_608n,
  -8_388_608n,
  -8_388_609n,
  2_147_483_647n,
  2_147_483_648n,
  -2_147_483_648n,
  -2_147_483_649n,
  9_007_199_254_740_993n,
  9_223_372_036_854_775_807n,
  -9_223_372_036_854_775_808n,
];
const LENGTH_EDGES = [0, 1, 20, 21, 62, 63, 64, 65, 124, 125, 126, 127, 128, 4_000, 4_095, 4_096];

/** A text that visits the bounds of encodings: integers at the edge of each width, nearly integers, strings of critical lengths. */
export function edgyText(random: Random, longest = 4_096): string {
  const dice = random.nextBelow(10);
  if (dice < 3) return String(random.nextBelow(300) - 100);
  if (dice < 5) return String(INTEGER_EDGES[random.nextBelow(INTEGER_EDGES.length)]);
  if (dice < 6) {
    const almost = ['007', '-0', '+1', '-', ' 1', '1 ', '9223372036854775808', '-9223372036854775809', '1.5', ''];
    return almost[random.nextBelow(almost.length)]!;
  }
  if (dice < 9)
    return 'abcdefgh'.repeat(20).slice(0, random.nextBelow(12)) + String.fromCharCode(random.nextBelow(256));
  const length = Math.min(longest, LENGTH_EDGES[random.nextBelow(LENGTH_EDGES.length)]!);
  return String.fromCharCode(97 + random.nextBelow(26)).repeat(length);
}
