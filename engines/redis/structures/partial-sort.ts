/**
 * Sorts only as far as a range of the result needs it: quicksort in the form of Bentley and McIlroy ("Engineering a sort function", 1993)
 * that leaves parts alone which lie outside of the range. It is not stable, and the order that it gives to equals is that of the original's,
 * which clients see.
 */

type Compare<T> = (a: T, b: T) => number;

/** Shorter runs are sorted by insertion. */
const SHORT = 7;
/** From here on the pivot is the median of nine. */
const LONG = 40;

function swap<T>(items: T[], i: number, j: number): void {
  const item = items[i]!;
  items[i] = items[j]!;
  items[j] = item;
}

/** Exchanges two runs of `count` items. */
function swapRuns<T>(items: T[], i: number, j: number, count: number): void {
  for (let k = 0; k < count; k++) swap(items, i + k, j + k);
}

/** The index of the one of three items that is neither the smallest nor the largest. */
function median<T>(items: T[], a: number, b: number, c: number, compare: Compare<T>): number {
  const x = items[a]!;
  const y = items[b]!;
  const z = items[c]!;
  if (compare(x, y) < 0) {
    if (compare(y, z) < 0) return b;
    return compare(x, z) < 0 ? c : a;
  }
  if (compare(y, z) > 0) return b;
  return compare(x, z) < 0 ? a : c;
}

function insertionSort<T>(items: T[], start: number, count: number, compare: Compare<T>): void {
  for (let i = start + 1; i < start + count; i++) {
    for (let j = i; j > start && compare(items[j - 1]!, items[j]!) > 0; j--) swap(items, j, j - 1);
  }
}

function choosePivot<T>(items: T[], start: number, count: number, compare: Compare<T>): number {
  let middle = start + Math.floor(count / 2);
  if (count === SHORT) return middle;
  let low = start;
  let high = start + count - 1;
  if (count > LONG) {
    const step = Math.floor(count / 8);
    low = median(items, low, low + step, low + 2 * step, compare);
    middle = median(items, middle - step, middle, middle + step, compare);
    high = median(items, high - 2 * step, high - step, high, compare);
  }
  return median(items, low, middle, high, compare);
}

function sortRun<T>(items: T[], start: number, count: number, compare: Compare<T>, first: number, last: number): void {
  while (count >= SHORT) {
    swap(items, start, choosePivot(items, start, count, compare));
    // Equals of the pivot gather at both ends: before `a` and behind `d`.
    let a = start + 1;
    let b = a;
    let c = start + count - 1;
    let d = c;
    for (;;) {
      for (; b <= c; b++) {
        const order = compare(items[b]!, items[start]!);
        if (order > 0) break;
        if (order === 0) swap(items, a++, b);
      }
      for (; b <= c; c--) {
        const order = compare(items[c]!, items[start]!);
        if (order < 0) break;
        if (order === 0) swap(items, c, d--);
      }
      if (b > c) break;
      swap(items, b++, c--);
    }
    const end = start + count;
    let moved = Math.min(a - start, b - a);
    swapRuns(items, start, b - moved, moved);
    moved = Math.min(d - c, end - d - 1);
    swapRuns(items, b, end - moved, moved);
    const smaller = b - a;
    if (smaller > 1 && start <= last && start + smaller - 1 >= first)
      sortRun(items, start, smaller, compare, first, last);
    const larger = d - c;
    start = end - larger;
    count = larger;
    if (larger <= 1 || start > last || end - 1 < first) return;
  }
  insertionSort(items, start, count, compare);
}

/**
 * Puts the items that belong at `first` to `last` (inclusive) in their places; the others stand before or behind them in some order.
 * @param compare negative, 0 or positive, as Array.sort takes it
 */
export function partialSort<T>(items: T[], compare: Compare<T>, first: number, last: number): void {
  sortRun(items, 0, items.length, compare, first, last);
}
